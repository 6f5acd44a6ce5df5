// Package fhir knows the grammar of FHIR's RESTful API: what one interaction
// names, what a reference points to, which patients a resource belongs to and
// which few facts of it an authorization decision needs. It opens no
// connection, reads no file and asks no clock.
package fhir

// Version is a published FHIR release.
type Version uint8

// The releases that Gatehouse has tables for.
const (
	R4 Version = iota
	R4B
	R5
	STU3
)

func (v Version) String() string { return [...]string{"R4", "R4B", "R5", "STU3"}[v] }

// ParseVersion reads a release as configurations ("R4") and
// CapabilityStatements ("4.0.1") name it. Only R4 has its tables so far.
func ParseVersion(s string) (Version, bool) {
	return R4, s == "R4" || s == "4.0" || s == "4.0.0" || s == "4.0.1"
}
