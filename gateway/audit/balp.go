package audit

import "strings"

// pattern is how BALP tells one kind of interaction. In which direction client
// and server stand flips with it: of a read the server is the source, of a query
// the client, since there it is the question that flows (STANDARDS C9).
type pattern struct {
	action         string
	profile        string // below IHE.BasicAudit., with "Patient" before it where a patient is known
	client, server coding
	user           coding
	query          bool // the entity is the question, not a resource
}

var (
	source      = coding{sysDCM, "110153", "Source Role ID"}
	destination = coding{sysDCM, "110152", "Destination Role ID"}
	application = coding{sysDCM, "110150", "Application"}
	custodian   = coding{sysProvenance, "custodian", "Custodian"}
	recipient   = coding{sysParticipant, "IRCP", "information recipient"}
	author      = coding{sysParticipant, "AUT", "author (originator)"}
	keeper      = coding{sysParticipant, "CST", "custodian"}
	oauthUser   = coding{sysBALPUser, "UserOauthAgent", ""}
)

var patterns = map[string]pattern{
	"read":   {"R", "Read", destination, source, recipient, false},
	"create": {"C", "Create", source, destination, author, false},
	"update": {"U", "Update", source, destination, author, false},
	"delete": {"D", "Delete", application, custodian, keeper, false},
	"search": {"E", "Query", source, destination, recipient, true},
	// BALP has no pattern of its own for these.
	"history": {"R", "", destination, source, recipient, false},
	"other":   {"E", "", source, destination, recipient, true},
}

// patternOf gives the pattern of an interaction and its code in
// restful-interaction.
func patternOf(interaction string) (pattern, string) {
	switch {
	case interaction == "read" || interaction == "vread":
		return patterns["read"], interaction
	case interaction == "update" || interaction == "patch":
		return patterns["update"], interaction
	case interaction == "create" || interaction == "delete":
		return patterns[interaction], interaction
	case interaction == "search-compartment":
		return patterns["search"], "search" // R4 knows no code for it
	case strings.HasPrefix(interaction, "search"):
		return patterns["search"], interaction
	case strings.HasPrefix(interaction, "history"):
		return patterns["history"], interaction
	case strings.HasPrefix(interaction, "$"):
		return patterns["other"], "operation"
	}
	return patterns["other"], interaction
}

// objectRole is what the resource is in the event: a report or a domain
// resource.
func objectRole(typ string) *coding {
	switch typ {
	case "DiagnosticReport", "DocumentReference", "Composition":
		return &coding{sysObjectRole, "3", "Report"}
	}
	return &coding{sysObjectRole, "4", "Domain Resource"}
}

// TokenName names a token in the trail without being one: the URN of its jti,
// or, of an opaque token, its last 32 characters, as BALP's Minimal and Opaque
// patterns have it. Of a token so short that they would be most of it, a hash
// stands instead: the trail never holds what could be replayed (AUD-06).
func TokenName(jti, token string) string {
	switch {
	case jti != "":
		return jtiPrefix + jti
	case token == "":
		return ""
	case len(token) < 2*opaqueLen:
		return hashHex(token)[:opaqueLen]
	}
	return token[len(token)-opaqueLen:]
}

const opaqueLen = 32
