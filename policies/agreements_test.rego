package gatehouse_test

service := {"id": "svc", "issuer": "i", "roles": [], "purpose": ["TREAT"], "scopes": ["system/*.rs"]}

agreement := {"app": [{"reason": "r", "types": ["clinical"], "actions": ["read", "search"], "purposes": ["TREAT"], "until": "2026-11-21"}]}

test_service_reads_by_agreement if {
	allowed(asks("read", service, observation)) with data.agreements as agreement
}

test_service_without_agreement_is_refused if {
	not allowed(asks("read", service, observation)) with data.agreements as {}
}

test_agreement_ends_with_its_last_day if {
	question := json.patch(asks("read", service, observation), [{"op": "replace", "path": "/context/now", "value": "2026-11-22T00:00:00Z"}])
	not allowed(question) with data.agreements as agreement
}

test_agreement_is_for_its_purpose if {
	not allowed(asks("read", object.union(service, {"purpose": ["HMARKT"]}), observation)) with data.agreements as agreement
}

test_agreement_is_for_its_actions_and_types if {
	not allowed(asks("create", service, observation)) with data.agreements as agreement
	not allowed(asks("read", service, object.union(observation, {"type": "Coverage"}))) with data.agreements as agreement
}

test_agreement_is_not_for_people if {
	not allowed(asks("read", object.union(service, {"fhir_user": "Practitioner/9"}), observation)) with data.agreements as agreement
	not allowed(asks("read", object.union(service, {"patient": "Patient/2"}), observation)) with data.agreements as agreement
}
