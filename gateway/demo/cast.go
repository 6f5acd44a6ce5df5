package demo

// act is one of the people whose lines the demo prints.
type act struct {
	name   string // by which the provider knows them
	who    string
	claims map[string]any
	lines  []line
}

// line is one request. Target and body stand for themselves in the shell, so
// that what is printed is what the test sends.
type line struct {
	says   string // what is to be expected
	method string // GET when empty
	target string // below the base; $P is the pseudonym that an earlier line found
	body   string
	find   string // sets $P to the first match of this pattern in the answer
	open   bool   // without the token
	want   int
}

// cast is everybody, as their tokens name them.
var cast = []act{
	{name: "clinician", who: "A clinician of ward 3 (Practitioner/dr-1)",
		claims: map[string]any{"sub": "u-1001", "client_id": "ward-app", "roles": []string{"clinician"}, "organization": "ward-3",
			"fhirUser": "Practitioner/dr-1", "purpose_of_use": "TREAT", "scope": "openid fhirUser user/*.cruds"},
		lines: []line{
			{says: "200: a patient of her ward; 1.10 stays 1.10 in all that she reads", target: "/Patient/p012", want: 200},
			{says: "404, as if there were none: a patient of another ward", target: "/Patient/p013", want: 404},
			{says: "404 as well: her own ward, but this patient has given no consent", target: "/Patient/p036", want: 404},
			{says: "200: five of the ward's observations, and a sealed link to the next page", target: "/Observation?code=29463-7&_count=5", want: 200},
			{says: "201: she records a condition of her own patient", method: "POST", target: "/Condition",
				body: `{"resourceType":"Condition","subject":{"reference":"Patient/p012"},"recorder":{"reference":"Practitioner/dr-1"},"code":{"text":"Fieber"}}`, want: 201},
		}},
	{name: "patient", who: "A patient in a SMART app (Patient/p008)",
		claims: map[string]any{"sub": "u-2008", "client_id": "patient-app", "patient": "p008", "fhirUser": "Patient/p008",
			"scope": "openid fhirUser launch/patient patient/*.rs"},
		lines: []line{
			{says: "200: his own conditions, but for one that is labelled R", target: "/Condition", want: 200},
			{says: "404: somebody else", target: "/Patient/p012", want: 404},
			{says: "403: his token holds no scope that writes", method: "POST", target: "/Observation",
				body: `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p008"}}`, want: 403},
		}},
	{name: "billing", who: "A billing clerk of ward 3",
		claims: map[string]any{"sub": "u-3001", "client_id": "billing-desk", "roles": []string{"billing"}, "organization": "ward-3",
			"purpose_of_use": "HPAYMT", "scope": "user/*.rs"},
		lines: []line{
			{says: "200: the claims of the ward", target: "/Claim?_count=5", want: 200},
			{says: "403 before the FHIR server is asked: no row of the role table lets billing see observations", target: "/Observation?patient=Patient/p012", want: 403},
		}},
	{name: "researcher", who: "A researcher, whose view is pseudonymized",
		claims: map[string]any{"sub": "u-4001", "client_id": "research-app", "roles": []string{"researcher"}, "organization": "university",
			"purpose_of_use": "HRESCH", "scope": "user/*.rs"},
		lines: []line{
			{says: "200: no name, no MRN, shifted dates; $P is now a pseudonym", target: "/Patient?_count=1", find: "Patient/[A-Za-z0-9.-]*", want: 200},
			{says: "200: search by that pseudonym", target: "/Observation?subject=$P&_count=5", want: 200},
			{says: "404: real ids mean nothing here", target: "/Patient/p012", want: 404},
			{says: "400: names are hidden, so nobody may search by them", target: "/Patient?name=Schmidt", want: 400},
		}},
	{name: "laboratory", who: "A backend service, by agreement (policies/agreements.yaml)",
		claims: map[string]any{"sub": "lab-service", "client_id": "lab-service", "purpose_of_use": "TREAT", "scope": "system/Observation.rs system/DiagnosticReport.rs"},
		lines: []line{
			{says: "200: laboratory results of all wards", target: "/Observation?category=laboratory&_count=5", want: 200},
			{says: "403: its scopes name no Patient", target: "/Patient/p012", want: 403},
		}},
	{name: "nobody", who: "Somebody without rights",
		claims: map[string]any{"sub": "u-9001", "client_id": "ward-app", "scope": "user/*.cruds"},
		lines: []line{
			{says: "403: signed in, but with no role", target: "/Patient/p012", want: 403},
			{says: "401: no token at all", target: "/Patient/p012", open: true, want: 401},
			{says: "200: what anybody may ask", target: "/metadata", open: true, want: 200},
		}},
}
