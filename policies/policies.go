// Package policies is the Rego that ships with Gatehouse: its rules, the
// tables that they read, their tests, and the schemas of both.
package policies

import "embed"

// Files holds the *.rego, the tables (*.yaml), the schemas (*.json) and the
// scenarios.
//
//go:embed *.rego *.yaml *.json scenarios/*.yaml
var Files embed.FS
