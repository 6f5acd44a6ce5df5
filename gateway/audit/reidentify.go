package audit

// reidentify writes a step on the way back from pseudonyms, one event for each
// pseudonym (IHE de-identification: DCM 110106 and ISO 21089 reidentify). What a
// pseudonym leads to is in no record.
func (x *exporter) reidentify(r *Record) error {
	for _, n := range r.Notes {
		if n.Name != PseudonymNote {
			continue
		}
		e := &auditEvent{
			Type:    coding{sysDCM, "110106", "Export"},
			Subtype: []coding{{sysLifecycle, "reidentify", "Re-identify Record Lifecycle Event"}, {System: sysOutcome, Code: r.Code}},
			Action:  "E",
			Outcome: outcomeGood,
			Agent:   []agent{user(r, source), x.server(application)},
			Entity: []entity{transactionEntity(without(r, PseudonymNote), ""), {
				Type: &coding{sysEntityType, "1", "Person"},
				Role: &coding{sysObjectRole, "1", "Patient"},
				What: &reference{Identifier: &identifier{System: "urn:gatehouse:domain:" + r.Domain, Value: n.Value}},
			}},
		}
		if r.Code == Reidentify+"refused" || r.Code == Reidentify+"denied" {
			e.Outcome, e.OutcomeDesc = outcomeMinor, r.Code
		}
		if err := x.write(r, e); err != nil {
			return err
		}
	}
	return nil
}

// without is a record without the notes of a name.
func without(r *Record, name string) *Record {
	rest := *r
	rest.Notes = nil
	for _, n := range r.Notes {
		if n.Name != name {
			rest.Notes = append(rest.Notes, n)
		}
	}
	return &rest
}
