package policy

import (
	"encoding/binary"
	"maps"
	"slices"
)

// Keeper writes down what policy reads to decide, so that another policy can be
// asked the same later (Past). It keeps nothing of a resource's content.
type Keeper struct {
	keeps [lastPath]bool
	uses  uses // the facts and consents among these
}

// The paths of the input as a record numbers them. The numbers stand in trails:
// none is given twice.
const (
	pathAction = iota + 1
	pathInteraction
	pathType
	pathID
	pathScopes
	pathPatient
	pathACR
	pathAuthTime
	pathParameters
	pathEmergency
	pathOrganization
	pathPractitioners
	pathLabels
	pathCategories
	pathCodes
	pathStatus
	pathAuthor
	pathEncounter
	pathDate
	pathUnnamed
	pathConsent
	pathProvision
	pathConsentSource
	pathRelation
	lastPath
)

// pathNames are the paths of which a record may know nothing. Others are in
// every record: who asked by which client, from where and when.
var pathNames = [lastPath]string{
	pathAction: "input.action", pathInteraction: "input.interaction", pathType: "input.request.type", pathID: "input.request.id",
	pathScopes: "input.subject.scopes", pathPatient: "input.subject.patient", pathACR: "input.subject.acr", pathAuthTime: "input.subject.auth_time",
	pathParameters: "input.request.parameters", pathEmergency: "input.context.emergency",
	pathOrganization: "input.resource.organization", pathPractitioners: "input.resource.practitioners", pathLabels: "input.resource.labels",
	pathCategories: "input.resource.categories", pathCodes: "input.resource.codes", pathStatus: "input.resource.status",
	pathAuthor: "input.resource.author", pathEncounter: "input.resource.encounter", pathDate: "input.resource.date",
	pathConsent: "input.consent.decision", pathProvision: "input.consent.provision", pathConsentSource: "input.consent.source",
	pathRelation: "input.relation",
}

// pathUses are the paths of a resource as decisions name them.
var pathUses = map[int]uses{
	pathOrganization: usesOrganization, pathPractitioners: usesPractitioners, pathLabels: usesLabels, pathCategories: usesCategories,
	pathCodes: usesCodes, pathStatus: usesStatus, pathAuthor: usesAuthor, pathEncounter: usesEncounter, pathDate: usesDate,
	pathConsent: usesDecision, pathProvision: usesProvision, pathConsentSource: usesSource, pathRelation: usesRelation,
}

// Keeper keeps what the rules read; with all, whatever other rules might.
func (e *Engine) Keeper(all bool) *Keeper {
	k := &Keeper{}
	for i, name := range pathNames {
		k.keeps[i] = name != "" && (all || e.reads.mentions(name))
	}
	// What every decision depends on, and what a review of scopes asks for.
	for _, always := range []int{pathAction, pathInteraction, pathType, pathScopes, pathPatient, pathConsent, pathEmergency} {
		k.keeps[always] = true
	}
	for path, u := range pathUses {
		if k.keeps[path] {
			k.uses |= u
		}
	}
	return k
}

// Same tells whether AppendBasis writes the same of two resources, for one
// evaluation.
func (k *Keeper) Same(a, b *Resource) bool {
	return a.Facts.Unnamed == b.Facts.Unnamed && (k.uses&usesRelation == 0 || a.Relation == b.Relation) &&
		sameConsent(k.uses, &a.Consent, &b.Consent) && sameFacts(k.uses, a.Facts, b.Facts)
}

// AppendAsked writes what is known before any resource is; with nobody, nothing
// that only names a patient: the record has no patient with whom it could be
// erased.
func (k *Keeper) AppendAsked(b []byte, v *Evaluation, nobody bool) []byte {
	q := v.request
	s := q.Subject
	b = k.text(b, pathAction, q.Action)
	b = k.text(b, pathInteraction, q.Interaction)
	b = k.text(b, pathType, q.Type)
	b = k.text(b, pathID, q.ID)
	b = k.list(b, pathScopes, s.Scopes)
	nobody = nobody && (s.Patient != "" || q.Emergency != nil)
	if !nobody {
		b = k.text(b, pathPatient, s.Patient)
	}
	b = k.text(b, pathACR, s.ACR)
	b = k.text(b, pathAuthTime, instant(s.AuthTime))
	if k.keeps[pathParameters] {
		b = append(b, pathParameters)
		b = binary.AppendUvarint(b, uint64(len(q.Parameters)))
		for _, name := range slices.Sorted(maps.Keys(q.Parameters)) {
			b = appendList(appendText(b, name), q.Parameters[name])
		}
	}
	if e := q.Emergency; e != nil && !nobody {
		b = k.list(b, pathEmergency, []string{e.Patient, e.Reason, instant(e.Until)})
	}
	return b
}

// AppendBasis writes what is known of one resource; v is what decided on it,
// and asked is what AppendAsked has written for the record that it stands in.
func (k *Keeper) AppendBasis(b []byte, v, asked *Evaluation, res *Resource) []byte {
	f, c, r := res.Facts, &res.Consent, res.Relation
	if v == asked {
		b = append(b, 0)
	} else {
		own := k.AppendAsked(nil, v, false)
		b = append(append(b, 1), binary.AppendUvarint(nil, uint64(len(own)))...)
		b = append(b, own...)
	}
	if f.Unnamed {
		b = append(b, pathUnnamed)
	}
	b = k.text(b, pathOrganization, f.Organization)
	b = k.list(b, pathPractitioners, f.Practitioners)
	b = k.list(b, pathLabels, f.Labels)
	b = k.list(b, pathCategories, f.Categories)
	b = k.list(b, pathCodes, f.Codes)
	b = k.text(b, pathStatus, f.Status)
	b = k.text(b, pathAuthor, f.Author)
	b = k.text(b, pathEncounter, f.Encounter)
	b = k.text(b, pathDate, f.Date)
	b = k.text(b, pathConsent, c.Decision)
	b = k.text(b, pathProvision, c.Provision)
	b = k.text(b, pathConsentSource, c.Source)
	if r == nil || !k.keeps[pathRelation] {
		return b
	}
	b = append(b, pathRelation)
	b = binary.AppendUvarint(b, uint64(len(r.Encounters)))
	for _, e := range r.Encounters {
		b = appendText(appendText(appendText(appendText(b, e.ID), e.Status), e.Start), e.End)
		b = appendList(appendList(b, e.Locations), e.Participants)
	}
	return appendList(appendList(b, r.CareTeams), r.Practitioners)
}

func (k *Keeper) text(b []byte, path byte, s string) []byte {
	if !k.keeps[path] {
		return b
	}
	return appendText(append(b, path), s)
}

func (k *Keeper) list(b []byte, path byte, l []string) []byte {
	if !k.keeps[path] {
		return b
	}
	return appendList(append(b, path), l)
}

func appendList(b []byte, l []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(l)))
	for _, s := range l {
		b = appendText(b, s)
	}
	return b
}
