package assembled

default allow := false

claims := payload if {
	[valid, _, payload] := io.jwt.decode_verify(input.token, {"cert": input.keys, "iss": input.issuer, "aud": input.audience})
	valid
}

readers := {"clinician": {"Observation", "Patient"}, "researcher": {"Observation"}}

allow if {
	input.method == "GET"
	some role in claims.roles
	input.path[0] == "fhir"
	input.path[1] in readers[role]
}
