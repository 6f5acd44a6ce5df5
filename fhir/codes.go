package fhir

import "fmt"

// Code is one way in which a request cannot be served, as clients see it in
// OperationOutcome.issue.details.coding.
type Code struct {
	Code    string
	Status  int
	Meaning string // for docs/errors.md
}

var (
	codePath        = Code{"request.path", 400, "The path is none of FHIR's: wrong segments, a trailing slash, an escape or an empty segment."}
	codeType        = Code{"request.type-unknown", 400, "There is no such resource type in this FHIR release; names are case-sensitive."}
	codeID          = Code{"request.id", 400, "An id or version is missing or not of the form [A-Za-z0-9-.]{1,64}."}
	codeMethod      = Code{"request.method", 405, "FHIR has no such method at this path; the Allow header lists those it has."}
	codeQuery       = Code{"request.query", 400, "The query or form cannot be read: a bad escape, `;`, `#`, a control character or bytes that are not UTF-8."}
	codeTooMany     = Code{"request.too-many-parameters", 400, "More parameters, alternatives, hops or includes than the gateway takes in one request."}
	codeTooLarge    = Code{"request.too-large", 413, "The query, form or Bundle is larger than the gateway takes."}
	codeUnknown     = Code{"request.parameter-unknown", 400, "FHIR defines no such parameter here. It is never ignored, since the answer would be wider than asked for."}
	codeUnsupported = Code{"request.parameter-unsupported", 400, "The parameter or combination exists in FHIR and is not served by this gateway."}
	codeModifier    = Code{"request.modifier", 400, "The parameter's type has no such modifier."}
	codeChain       = Code{"request.chain", 400, "A chain, _has or include does not follow references that FHIR defines, or leaves open which type it means."}
	codeValue       = Code{"request.value", 400, "A value does not have the syntax of its parameter's type."}
	codeRepeated    = Code{"request.parameter-repeated", 400, "A parameter or header that may stand once stands twice."}
	codeHeader      = Code{"request.header", 400, "A header has a bad value or no meaning for this interaction."}
	codeFormat      = Code{"request.format", 406, "Answers are application/fhir+json; another format was asked for."}
	codeContentType = Code{"request.content-type", 415, "The body's media type is not one that this interaction takes."}
	codeBody        = Code{"request.body", 400, "The body is missing, unexpected, not strict JSON, or does not fit the URL."}
	codeBundleType  = Code{"request.bundle-type", 400, "Only a Bundle of type batch or transaction can be posted to the base."}
	codeEntry       = Code{"request.bundle-entry", 400, "An entry of a batch or transaction is no request that can be named."}
	codeOperation   = Code{"operation.not-allowed", 403, "The operation is not on the gateway's list for this level."}
)

// Codes are all codes of the errors that Parse returns.
var Codes = []Code{
	codePath, codeType, codeID, codeMethod, codeQuery, codeTooMany, codeTooLarge, codeUnknown, codeUnsupported,
	codeModifier, codeChain, codeValue, codeRepeated, codeHeader, codeFormat, codeContentType, codeBody,
	codeBundleType, codeEntry, codeOperation,
}

func refuse(c Code, format string, args ...any) *Error {
	return &Error{Status: c.Status, Code: c.Code, Text: fmt.Sprintf(format, args...)}
}

// shown is a name as an error text may repeat it: what a client can have put
// there by mistake for a name, a value say, is not repeated.
func shown(name string) string {
	if name == "" || len(name) > 64 {
		return "this name"
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; !idByte[c] && c != '_' && c != ':' && c != '$' && c != '*' {
			return "this name"
		}
	}
	return `"` + name + `"`
}
