// Package traces is a small receiver of OpenTelemetry traces: it takes them in by OTLP
// over HTTP, keeps the newest in memory and shows each as a page, spans under their
// parents and as long as they took. It stands in for what a deployment has anyway;
// nothing is kept when it ends.
package traces
