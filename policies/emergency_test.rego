package gatehouse_test

broken := {"patient": "Patient/1", "reason": "collapsed", "until": "2026-11-21T11:00:00Z"}

in_emergency(question) := json.patch(question, [{"op": "replace", "path": "/context/emergency", "value": broken}])

elsewhere := object.union(observation, {"organization": "Organization/9"})

test_an_emergency_opens_what_the_organization_keeps_apart if {
	not allowed(asks("read", clinician, elsewhere))
	allowed(in_emergency(asks("read", clinician, elsewhere)))
	allowed(in_emergency(asks("search", clinician, elsewhere)))
}

test_an_emergency_is_for_one_patient if {
	not allowed(in_emergency(asks("read", clinician, object.union(elsewhere, {"patients": ["Patient/2"]}))))
	not allowed(in_emergency(asks("read", clinician, object.union(elsewhere, {"patients": ["Patient/1", "Patient/2"]}))))
	not allowed(in_emergency(asks("read", clinician, object.union(elsewhere, {"patients": ["Patient/1", ""]}))))
	not allowed(in_emergency(asks("read", clinician, object.union(elsewhere, {"patients": []}))))
}

test_an_emergency_writes_nothing if {
	every action in ["create", "update", "delete", "operation"] {
		not allowed(in_emergency(asks(action, clinician, elsewhere)))
	}
}

test_an_emergency_lifts_no_prohibition if {
	not allowed(in_emergency(asks("read", clinician, object.union(elsewhere, {"labels": ["V"]}))))
}

test_to_say_so_is_not_to_have_done_so if {
	claims := object.union(clinician, {"purpose": ["TREAT", "BTG"]})
	not allowed(asks("read", claims, observation))
	allowed(in_emergency(asks("read", claims, observation)))
}
