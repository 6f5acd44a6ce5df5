package audit

import "slices"

// disclosures writes that data of patients went to another organization, one
// event for each patient (AUD-08). What patients were given of their own is none.
func (x *exporter) disclosures(r *Record, patients []string) error {
	custodian := noteOf(r, DisclosureNote)
	if custodian == "" {
		return nil
	}
	for _, p := range patients {
		data := givenOf(r, p)
		if p == r.Caller.User || len(data) == 0 {
			continue
		}
		if err := x.write(r, x.disclosure(r, p, custodian, data)); err != nil {
			return err
		}
	}
	return nil
}

// givenOf lists what was given of a patient.
func givenOf(r *Record, patient string) (data []entity) {
	for i := range r.Entries {
		e := &r.Entries[i]
		if e.Effect != Released || !slices.Contains(e.Patients, patient) {
			continue
		}
		what := &reference{Reference: e.Type + "/" + e.ID}
		if e.ID == "" { // erased
			what = &reference{Display: e.Type}
		}
		data = append(data, entity{Type: &coding{sysEntityType, "2", "System Object"}, Role: objectRole(e.Type), What: what})
	}
	return data
}

func (x *exporter) disclosure(r *Record, patient, custodian string, data []entity) *auditEvent {
	p, code := patternOf(r.Interaction)
	to := organization(r)
	to.Type, to.Network = one(destination.System, destination.Code, destination.Display), networkOf(r.Address)
	client := x.client(r, application)
	from := x.server(source)
	e := &auditEvent{
		Meta:           &meta{Profile: []string{balpProfile + "PrivacyDisclosure.Source"}},
		Type:           coding{sysDCM, "110106", "Export"},
		Subtype:        []coding{{sysLifecycle, "disclose", "Disclose Record Lifecycle Event"}, {sysInteraction, code, ""}},
		Action:         "R",
		Outcome:        outcomeGood,
		PurposeOfEvent: purposes(r.Caller.Purpose),
		Agent:          []agent{from, to, client, user(r, p.user)},
		Entity:         append([]entity{transactionEntity(r, patient), patientEntity(patient)}, data...),
	}
	if relative(custodian) != "" {
		e.Agent = append(e.Agent, agent{Type: one(sysSCT, "159541003", "Record keeping/library clerk"), Who: &reference{Reference: custodian}})
	}
	return e
}
