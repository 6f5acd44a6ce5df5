package audit

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strings"
)

// DICOM is the event as ATNA sends it over syslog: the audit message of DICOM
// PS3.15 A.5, with the user named as IUA has it, alias"<"sub"@"iss">".
func (e Event) DICOM() []byte {
	a := e.event
	m := dicomMessage{Identification: dicomEvent{Action: a.Action, Time: a.Recorded, Outcome: a.Outcome,
		ID: dicomCode("EventID", a.Type), Text: a.OutcomeDesc}}
	for _, c := range a.Subtype {
		m.Identification.Types = append(m.Identification.Types, dicomCode("EventTypeCode", c))
	}
	for _, p := range a.PurposeOfEvent {
		m.Identification.Types = append(m.Identification.Types, dicomCodes("PurposeOfUse", p)...)
	}
	for i := range a.Agent {
		m.Participants = append(m.Participants, dicomAgent(&a.Agent[i]))
	}
	m.Source = dicomSource{ID: a.Source.Site, Site: a.Source.Site}
	for _, t := range a.Source.Type {
		m.Source.Types = append(m.Source.Types, dicomCode("AuditSourceTypeCode", t))
	}
	for i := range a.Entity {
		m.Objects = append(m.Objects, dicomEntity(&a.Entity[i]))
	}
	b, err := xml.Marshal(m)
	if err != nil { // texts alone
		return fmt.Appendf(nil, "<AuditMessage/>")
	}
	return append([]byte(`<?xml version="1.0" encoding="UTF-8"?>`),
		spelled(b, func(out []byte, r rune) []byte { return fmt.Appendf(out, "&#x%X;", r) })...)
}

type (
	dicomMessage struct {
		XMLName        xml.Name      `xml:"AuditMessage"`
		Identification dicomEvent    `xml:"EventIdentification"`
		Participants   []dicomActor  `xml:"ActiveParticipant"`
		Source         dicomSource   `xml:"AuditSourceIdentification"`
		Objects        []dicomObject `xml:"ParticipantObjectIdentification"`
	}
	coded struct {
		XMLName xml.Name
		Code    string `xml:"csd-code,attr"`
		System  string `xml:"codeSystemName,attr"`
		Text    string `xml:"originalText,attr"`
	}
	dicomEvent struct {
		Action  string `xml:"EventActionCode,attr,omitempty"`
		Time    string `xml:"EventDateTime,attr"`
		Outcome string `xml:"EventOutcomeIndicator,attr"`
		ID      coded
		Types   []coded
		Text    string `xml:"EventOutcomeDescription,omitempty"`
	}
	dicomActor struct {
		User      string `xml:"UserID,attr"`
		Name      string `xml:"UserName,attr,omitempty"`
		Requestor bool   `xml:"UserIsRequestor,attr"`
		Network   string `xml:"NetworkAccessPointID,attr,omitempty"`
		Kind      string `xml:"NetworkAccessPointTypeCode,attr,omitempty"`
		Roles     []coded
	}
	dicomSource struct {
		ID    string `xml:"AuditSourceID,attr"`
		Site  string `xml:"AuditEnterpriseSiteID,attr,omitempty"`
		Types []coded
	}
	dicomDetail struct {
		Type  string `xml:"type,attr"`
		Value string `xml:"value,attr"` // base64
	}
	dicomObject struct {
		ID      string `xml:"ParticipantObjectID,attr"`
		Type    string `xml:"ParticipantObjectTypeCode,attr,omitempty"`
		Role    string `xml:"ParticipantObjectTypeCodeRole,attr,omitempty"`
		Code    coded
		Query   string        `xml:"ParticipantObjectQuery,omitempty"`
		Details []dicomDetail `xml:"ParticipantObjectDetail"`
	}
)

func dicomCode(element string, c coding) coded {
	text := c.Display
	if text == "" {
		text = c.Code
	}
	system := c.System
	if system == sysDCM {
		system = "DCM"
	}
	return coded{xml.Name{Local: element}, c.Code, system, text}
}

func dicomCodes(element string, c concept) []coded {
	var l []coded
	for _, one := range c.Coding {
		l = append(l, dicomCode(element, one))
	}
	if len(c.Coding) == 0 && c.Text != "" {
		l = append(l, dicomCode(element, coding{Code: c.Text}))
	}
	return l
}

func dicomAgent(a *agent) dicomActor {
	d := dicomActor{User: nameOf(a.Who), Requestor: a.Requestor, Name: a.Name}
	if w := a.Who; w != nil && w.Identifier != nil && w.Identifier.System != "" {
		d.Name = a.Name + "<" + w.Identifier.Value + "@" + w.Identifier.System + ">"
	}
	if a.Network != nil {
		d.Network, d.Kind = a.Network.Address, a.Network.Type
	}
	if a.Type != nil {
		d.Roles = dicomCodes("RoleIDCode", *a.Type)
	}
	for _, r := range a.Role {
		d.Roles = append(d.Roles, dicomCodes("RoleIDCode", r)...)
	}
	return d
}

func nameOf(r *reference) string {
	switch {
	case r == nil:
		return "unknown"
	case r.Reference != "":
		return r.Reference
	case r.Identifier != nil:
		return r.Identifier.Value
	}
	return r.Display
}

func dicomEntity(e *entity) dicomObject {
	o := dicomObject{ID: nameOf(e.What), Query: e.Query, Code: coded{xml.Name{Local: "ParticipantObjectIDTypeCode"}, "12", "RFC-3881", "URI"}}
	if e.Type != nil {
		switch e.Type.System {
		case sysEntityType:
			o.Type = e.Type.Code
		default:
			o.Type, o.Code = "2", dicomCode("ParticipantObjectIDTypeCode", *e.Type)
		}
	}
	if o.Type == "1" {
		o.Code = coded{xml.Name{Local: "ParticipantObjectIDTypeCode"}, "2", "RFC-3881", "Patient Number"}
	}
	if e.Role != nil {
		o.Role = e.Role.Code
	}
	if e.Query != "" {
		o.ID = strings.TrimPrefix(o.ID, "unknown")
	}
	for _, d := range e.Detail {
		o.Details = append(o.Details, dicomDetail{d.Type, base64.StdEncoding.EncodeToString([]byte(d.ValueString))})
	}
	return o
}
