package audit

// The part of FHIR R4 AuditEvent that the export writes. The models of
// samply/golang-fhir-models would serve, but their entity.detail always prints
// both of its value[x], which no validator accepts.
type (
	auditEvent struct {
		ResourceType   string    `json:"resourceType"`
		ID             string    `json:"id"`
		Meta           *meta     `json:"meta,omitempty"`
		Type           coding    `json:"type"`
		Subtype        []coding  `json:"subtype,omitempty"`
		Action         string    `json:"action,omitempty"`
		Recorded       string    `json:"recorded"`
		Outcome        string    `json:"outcome"`
		OutcomeDesc    string    `json:"outcomeDesc,omitempty"`
		PurposeOfEvent []concept `json:"purposeOfEvent,omitempty"`
		Agent          []agent   `json:"agent"`
		Source         observer  `json:"source"`
		Entity         []entity  `json:"entity,omitempty"`
	}
	meta struct {
		Profile []string `json:"profile"`
	}
	coding struct {
		System  string `json:"system,omitempty"`
		Code    string `json:"code"`
		Display string `json:"display,omitempty"`
	}
	concept struct {
		Coding []coding `json:"coding,omitempty"`
		Text   string   `json:"text,omitempty"`
	}
	identifier struct {
		System string `json:"system,omitempty"`
		Value  string `json:"value"`
	}
	reference struct {
		Reference  string      `json:"reference,omitempty"`
		Identifier *identifier `json:"identifier,omitempty"`
		Display    string      `json:"display,omitempty"`
	}
	agent struct {
		Type         *concept   `json:"type,omitempty"`
		Role         []concept  `json:"role,omitempty"`
		Who          *reference `json:"who,omitempty"`
		Name         string     `json:"name,omitempty"`
		Requestor    bool       `json:"requestor"`
		Policy       []string   `json:"policy,omitempty"`
		Network      *network   `json:"network,omitempty"`
		PurposeOfUse []concept  `json:"purposeOfUse,omitempty"`
	}
	network struct {
		Address string `json:"address"`
		Type    string `json:"type"`
	}
	observer struct {
		Site     string    `json:"site,omitempty"`
		Observer reference `json:"observer"`
		Type     []coding  `json:"type,omitempty"`
	}
	entity struct {
		What        *reference `json:"what,omitempty"`
		Type        *coding    `json:"type,omitempty"`
		Role        *coding    `json:"role,omitempty"`
		Description string     `json:"description,omitempty"`
		Query       string     `json:"query,omitempty"`
		Detail      []detail   `json:"detail,omitempty"`
	}
	detail struct {
		Type        string `json:"type"`
		ValueString string `json:"valueString"`
	}
)

// Code systems of the export.
const (
	sysDCM         = "http://dicom.nema.org/resources/ontology/DCM"
	sysLifecycle   = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
	sysEventType   = "http://terminology.hl7.org/CodeSystem/audit-event-type"
	sysInteraction = "http://hl7.org/fhir/restful-interaction"
	sysEntityType  = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
	sysObjectRole  = "http://terminology.hl7.org/CodeSystem/object-role"
	sysParticipant = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	sysProvenance  = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
	sysRoleClass   = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
	sysActReason   = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	sysSecRole     = "http://terminology.hl7.org/CodeSystem/extra-security-role-type"
	sysSCT         = "http://snomed.info/sct"
	sysSource      = "http://terminology.hl7.org/CodeSystem/security-source-type"
	sysResource    = "http://hl7.org/fhir/resource-types"
	sysOutcome     = "urn:gatehouse:outcome"

	balp            = "https://profiles.ihe.net/ITI/BALP/"
	balpProfile     = balp + "StructureDefinition/IHE.BasicAudit."
	sysBALPEntity   = balp + "CodeSystem/BasicAuditEntityType"
	sysBALPUser     = balp + "CodeSystem/UserAgentTypes"
	sysBALPSubtype  = balp + "CodeSystem/AuthZsubType"
	jtiPrefix       = "urn:ietf:params:oauth:jti:"
	outcomeGood     = "0"
	outcomeMinor    = "4"
	outcomeSerious  = "8"
	outcomeUnending = "12" // the process ended before the request did
)

func one(system, code, display string) *concept {
	return &concept{Coding: []coding{{system, code, display}}}
}
