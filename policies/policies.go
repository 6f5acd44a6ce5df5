// Package policies is the Rego that ships with Gatehouse: its rules, the
// tables that they read, their tests, and the schemas of both.
package policies

import "embed"

// Files holds the *.rego, the tables (*.yaml) and the schemas (*.json).
//
//go:embed *.rego *.yaml *.json
var Files embed.FS
