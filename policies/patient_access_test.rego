package gatehouse_test

app := {"id": "pat", "issuer": "i", "roles": [], "patient": "Patient/1", "purpose": [], "scopes": ["patient/*.rs"]}

test_patient_reads_own_record if {
	allowed(asks("read", app, observation))
	allowed(asks("search", app, object.union(observation, {"type": "Coverage"})))
	allowed(asks("read", object.union(app, {"fhir_user": "Patient/1"}), observation))
	allowed(asks("read", object.union(app, {"fhir_user": "RelatedPerson/3"}), observation))
}

test_patient_does_not_read_others if {
	not allowed(asks("read", app, object.union(observation, {"patients": ["Patient/2"]})))
	not allowed(asks("read", app, object.union(observation, {"patients": ["Patient/1", "Patient/2"]})))
	not allowed(asks("read", app, object.union(observation, {"patients": []})))
}

test_a_patient_who_cannot_be_named_is_somebody_else if {
	not allowed(asks("read", app, object.union(observation, {"patients": ["Patient/1", ""]})))
}

test_a_clinicians_app_is_not_the_patient if {
	not allowed(asks("read", object.union(app, {"fhir_user": "Practitioner/9"}), observation))
}

test_patient_writes_nothing if {
	every action in ["create", "update", "delete", "operation"] {
		not allowed(asks(action, app, observation))
	}
}

test_patient_looks_up_who_treated_them if {
	allowed(asks("read", app, object.union(observation, {"type": "Practitioner", "patients": []})))
}
