package gatehouse_test

import data.gatehouse

test_restricted_needs_role_and_purpose if {
	restricted := object.union(observation, {"labels": ["R"]})
	allowed(asks("read", clinician, restricted))
	not allowed(asks("read", object.union(clinician, {"purpose": []}), restricted))
	not allowed(asks("read", object.union(clinician, {"purpose": ["HPAYMT"]}), restricted))
}

test_very_restricted_is_for_nobody if {
	not allowed(asks("read", clinician, object.union(observation, {"labels": ["V"]})))
}

test_each_label_must_be_cleared if {
	not allowed(asks("read", clinician, object.union(observation, {"labels": ["HIV", "V"]})))
}

test_patients_see_their_own_psychiatric_record_and_not_the_restricted if {
	patient := object.union(app, {"fhir_user": "Patient/1"})
	allowed(asks("read", patient, object.union(observation, {"labels": ["PSY"]})))
	not allowed(asks("read", patient, object.union(observation, {"labels": ["R"]})))
}

test_patients_see_what_is_restricted_for_what_they_know if {
	patient := object.union(app, {"fhir_user": "Patient/1"})
	allowed(asks("read", patient, object.union(observation, {"labels": ["HIV", "R"]})))
	not allowed(asks("read", patient, object.union(observation, {"labels": ["SDV", "R"]})))
	not allowed(asks("read", patient, object.union(observation, {"patients": ["Patient/2"], "labels": ["HIV", "R"]})))
}

test_an_app_without_its_user_is_not_the_patient if {
	not allowed(asks("read", app, object.union(observation, {"labels": ["PSY"]})))
}

test_ordinary_labels_keep_nobody_out if {
	allowed(asks("read", clinician, object.union(observation, {"labels": ["N", "http://example.org|x"]})))
}

researcher := {"id": "rob", "issuer": "i", "roles": ["researcher"], "purpose": ["HRESCH"], "scopes": []}

test_research_sees_the_research_view if {
	question := asks("read", researcher, observation)
	allowed(question)
	gatehouse.oblige == {{"view": "research"}} with input as question
}

test_research_is_for_researchers if {
	not allowed(asks("read", object.union(clinician, {"purpose": ["HRESCH"]}), observation))
}

test_researcher_needs_the_purpose if {
	not allowed(asks("read", object.union(researcher, {"purpose": ["TREAT"]}), observation))
}

test_research_sees_nothing_sensitive if {
	not allowed(asks("read", researcher, object.union(observation, {"labels": ["PSY"]})))
}
