// Package fhir knows the grammar of FHIR's RESTful API: what one interaction
// names, what a reference points to, which patients a resource belongs to and
// which few facts of it an authorization decision needs. It opens no
// connection, reads no file and asks no clock.
package fhir

import "strings"

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

// Versions are all releases.
var Versions = []Version{R4, R4B, R5, STU3}

// Number is the release as media types and, with a patch number behind it,
// CapabilityStatements name it: "4.0".
func (v Version) Number() string { return [...]string{"4.0", "4.3", "5.0", "3.0"}[v] }

// Full is the number of the release as published last: "4.0.1".
func (v Version) Full() string { return [...]string{"4.0.1", "4.3.0", "5.0.0", "3.0.2"}[v] }

// ParseVersion reads a release as configurations ("R4"), media types ("4.0")
// and CapabilityStatements ("4.0.1") name it. A ballot or a build of a release
// is none.
func ParseVersion(s string) (Version, bool) {
	for _, v := range Versions {
		patch, ok := strings.CutPrefix(s, v.Number())
		if s == v.String() || ok && (patch == "" || len(patch) == 2 && patch[0] == '.' && digits(patch[1:]) == 1) {
			return v, true
		}
	}
	return 0, false
}
