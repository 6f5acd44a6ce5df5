package gateway

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"gatehouse/fhir"
	"gatehouse/gateway/judge"

	models "github.com/samply/golang-fhir-models/fhir-models/fhir"
)

// severities and kinds are what an issue may say of a resource by itself. Others,
// such as duplicate and not-found, compare it with records that the caller may not
// see; they become "processing".
var (
	severities = map[string]models.IssueSeverity{"fatal": models.IssueSeverityFatal, "error": models.IssueSeverityError,
		"warning": models.IssueSeverityWarning, "information": models.IssueSeverityInformation}
	kinds = map[string]models.IssueType{"invalid": models.IssueTypeInvalid, "structure": models.IssueTypeStructure, "required": models.IssueTypeRequired,
		"value": models.IssueTypeValue, "invariant": models.IssueTypeInvariant, "not-supported": models.IssueTypeNotSupported,
		"code-invalid": models.IssueTypeCodeInvalid, "extension": models.IssueTypeExtension, "too-long": models.IssueTypeTooLong,
		"informational": models.IssueTypeInformational}
)

const maxFindings = 500

// findings is the OperationOutcome of a validation.
func findings(v fhir.Version, issues []judge.Issue) []byte {
	outcome := models.OperationOutcome{Issue: []models.OperationOutcomeIssue{}}
	for _, i := range issues[:min(len(issues), maxFindings)] {
		severity, ok := severities[i.Severity]
		if !ok {
			severity = models.IssueSeverityError
		}
		code, ok := kinds[i.Code]
		if !ok {
			code = models.IssueTypeProcessing
		}
		outcome.Issue = append(outcome.Issue, models.OperationOutcomeIssue{Severity: severity, Code: code,
			Expression: slices.DeleteFunc(i.Expression, func(s string) bool { return !isElementPath(v, s) })})
	}
	if len(outcome.Issue) == 0 {
		text := "The server finds nothing wrong with the resource."
		outcome.Issue = append(outcome.Issue, models.OperationOutcomeIssue{Severity: models.IssueSeverityInformation,
			Code: models.IssueTypeInformational, Details: &models.CodeableConcept{Text: &text}})
	}
	b, err := json.Marshal(outcome)
	if err != nil { // strings alone: cannot happen, and must not be silent if it does
		panic("marshal findings: " + err.Error())
	}
	return b
}

var step1 = regexp.MustCompile(`^([A-Za-z]+)(\[[0-9]{1,5}\])?$`)

// isElementPath tells the path of an element, Patient.name[0].family, from any other
// text: nothing of a record can stand in it.
func isElementPath(v fhir.Version, path string) bool {
	typ, rest, _ := strings.Cut(path, ".")
	if !v.KnownType(typ) {
		return false
	}
	for rest != "" {
		var one string
		one, rest, _ = strings.Cut(rest, ".")
		parts := step1.FindStringSubmatch(one)
		if parts == nil {
			return false
		}
		info, ok := v.Element(typ, parts[1])
		if !ok {
			return false
		}
		typ = info.Type
	}
	return true
}
