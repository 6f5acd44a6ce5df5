package gatehouse_test

import data.gatehouse

clinician := {"id": "ann", "issuer": "i", "roles": ["clinician"], "organization": "Organization/2", "fhir_user": "Practitioner/7", "purpose": ["TREAT"], "scopes": []}

without(subject, fields) := object.remove(subject, fields)

observation := {
	"type": "Observation", "id": "1", "patients": ["Patient/1"], "organization": "Organization/2", "practitioners": [],
	"labels": [], "categories": [], "codes": [], "status": "final", "author": "", "encounter": "", "date": "",
}

asks(action, subject, resource) := {
	"action": action, "interaction": action,
	"subject": subject, "client": {"id": "app"},
	"request": {"type": "Observation", "id": "1", "operation": "", "parameters": {}},
	"resource": resource,
	"consent": {"decision": "none", "provision": "", "source": ""},
	"context": {"now": "2026-11-21T10:00:00Z", "address": "192.0.2.1", "emergency": null},
}

allowed(question) if {
	count(gatehouse.permit) > 0 with input as question
	count(gatehouse.forbid) == 0 with input as question
}

test_clinician_reads_own_organization if allowed(asks("read", clinician, observation))

test_clinician_does_not_read_another_organization if {
	not allowed(asks("read", clinician, object.union(observation, {"organization": "Organization/3"})))
}

test_no_organization_is_not_the_same_as_none if {
	not allowed(asks("read", without(clinician, ["organization"]), object.union(observation, {"organization": ""})))
}

test_clinician_does_not_delete if not allowed(asks("delete", clinician, observation))

test_clinician_writes_what_names_them if {
	allowed(asks("update", clinician, object.union(observation, {"practitioners": ["Practitioner/7"]})))
	not allowed(asks("update", clinician, object.union(observation, {"practitioners": ["Practitioner/8"]})))
}

# Who could name himself in what makes a care relationship could open every
# record there is.
test_clinician_does_not_make_himself_the_carer if {
	every type in ["CareTeam", "Encounter", "EpisodeOfCare"] {
		named := object.union(observation, {"type": type, "organization": "Organization/3", "practitioners": ["Practitioner/7"]})
		allowed(asks("read", clinician, named))
		every action in ["create", "update", "delete"] {
			not allowed(asks(action, clinician, named))
			not allowed(object.union(asks(action, clinician, named), {"relation": {"encounters": [], "care_teams": [], "practitioners": ["Practitioner/7"]}}))
		}
	}
}

# What is charted is clinical, but for what makes a care relationship.
test_charted_is_clinical_without_care if {
	clinical := {type | some type in data.type_groups.clinical}
	charted := {type | some type in data.type_groups.charted}
	clinical - charted == {"CareTeam", "Encounter", "EncounterHistory", "EpisodeOfCare"}
	charted - clinical == set()
}

# No role writes by own_patient what makes a care relationship.
test_no_row_makes_a_carer if {
	every rows in data.roles {
		every row in rows {
			not makes_carers(row)
		}
	}
}

makes_carers(row) if {
	row.when == "own_patient"
	some action in row.actions
	action in {"create", "update"}
	some type in ["CareTeam", "Encounter", "EpisodeOfCare"]
	gatehouse.covers(row.types, type)
}

test_types_out_of_the_row_are_refused if {
	not allowed(asks("read", clinician, object.union(observation, {"type": "AuditEvent"})))
}

encounter := {"id": "e", "status": "in-progress", "period": {"start": "", "end": ""}, "locations": [], "participants": ["Practitioner/7"]}

nurse := object.union(clinician, {"id": "nina", "roles": ["nurse"]})

test_nurse_reads_in_a_current_encounter if {
	question := asks("read", nurse, observation)
	allowed(object.union(question, {"relation": {"encounters": [encounter], "care_teams": [], "practitioners": []}}))
	ended := object.union(encounter, {"status": "finished"})
	not allowed(object.union(question, {"relation": {"encounters": [ended], "care_teams": [], "practitioners": []}}))
	not allowed(question)
}

test_nurse_reads_as_a_member_of_the_care_team if {
	question := asks("read", nurse, observation)
	allowed(object.union(question, {"relation": {"encounters": [], "care_teams": [], "practitioners": ["Practitioner/7"]}}))
}

test_staff_look_up_practitioners if {
	allowed(asks("search", nurse, object.union(observation, {"type": "Practitioner", "patients": []})))
}

test_no_role_no_access if not allowed(asks("read", object.union(clinician, {"roles": []}), observation))

test_unknown_role_no_access if not allowed(asks("read", object.union(clinician, {"roles": ["janitor"]}), observation))
