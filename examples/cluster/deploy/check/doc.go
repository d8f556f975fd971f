// Package check holds the files of the folder above against the schemas and the tools
// of those who read them: Kubernetes' own types, decoded strictly, BuildKit's parser
// and systemd-analyze. It has a module of its own, so that these never meet what
// Tillbook depends on.
//
//	make check-deploy
package check
