// Package web serves the page of a browser application, such as examples/web: the
// folder that a bundler such as Vite writes.
//
// New reads the folder once, so that what is served is whole and never changes
// under a reader's feet: nothing outside of it can be reached, whatever a path
// says, and a request touches no disk. A new build takes a restart.
//
// What is in assets/ carries a hash in its name and is kept by browsers for good.
// Everything else is asked for again each time, and answered with 304 while it is
// the same. A path that names no file and doesn't look like one is the application's
// own, and gets its index.html.
//
// The page may load and call nothing but this server, runs no inline script or
// style, and can't be framed; see securityHeaders.
package web
