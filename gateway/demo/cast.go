package demo

// act is one of the people whose lines the demo prints.
type act struct {
	name   string // by which the provider knows them
	who    string
	claims map[string]any
	lines  []line
}

// line is one request, as it is printed and as the test sends it.
type line struct {
	says   string // what is to be expected; it begins with the status
	target string // below the base, or below the admin API as $M/…; $P, $N and $R are what an earlier line kept
	post   string // a body; "": GET
	delete bool
	keep   string // the shell variable that is set to the first match of find
	find   string
	open   bool // without the token

	has, lacks []string // of the answer, for the test
}

// cast is everybody, as their tokens name them.
var cast = []act{
	{name: "clinician", who: "A clinician of ward 3 (Practitioner/dr-1)",
		claims: map[string]any{"sub": "u-1001", "client_id": "ward-app", "roles": []string{"clinician"}, "organization": internal,
			"fhirUser": "Practitioner/dr-1", "purpose_of_use": "TREAT", "acr": "mfa", "scope": "openid fhirUser user/*.cruds"},
		lines: []line{
			{says: "200: a patient of her ward", target: "/Patient/p012", has: []string{`"id":"p012"`, "Łukasiewicz"}},
			{says: "404, as if there were none: a patient of another ward", target: "/Patient/p013", lacks: []string{"p013"}},
			{says: "404 as well: her own ward, but this patient has given no consent", target: "/Patient/p036", lacks: []string{"p036"}},
			{says: "200: what she may see of all that was measured (1.10 stays 1.10), and a sealed link to the next page", target: "/Observation?_count=10",
				has: []string{`/_page/`, ":1.10,"}},
			{says: "201: she records a condition of her own patient", target: "/Condition",
				post: `{"resourceType":"Condition","subject":{"reference":"Patient/p012"},"recorder":{"reference":"Practitioner/dr-1"},"code":{"text":"Fieber"}}`},
		}},
	{name: "patient", who: "A patient in a SMART app (Patient/p008)",
		claims: map[string]any{"sub": "u-2008", "client_id": "patient-app", "patient": "p008", "fhirUser": "Patient/p008",
			"scope": "openid fhirUser launch/patient patient/*.rs"},
		lines: []line{
			{says: "200: her own conditions, but for one labelled NOPAT: not before her doctor has told her", target: "/Condition", has: []string{`"total":1`, "J45.9"}, lacks: []string{"B20"}},
			{says: "404: somebody else", target: "/Patient/p012", lacks: []string{"p012"}},
			{says: "403: her token holds no scope that writes", target: "/Observation",
				post: `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p008"}}`},
		}},
	{name: "billing", who: "A billing clerk of ward 3",
		claims: map[string]any{"sub": "u-3001", "client_id": "billing-desk", "roles": []string{"billing"}, "organization": internal,
			"purpose_of_use": "HPAYMT", "scope": "user/*.rs"},
		lines: []line{
			{says: "200: the ward's claims, of those who consent", target: "/Claim?_count=5", has: []string{"claim-3", "claim-12"}, lacks: []string{"claim-6"}},
			{says: "403, and the FHIR server was not asked: the role table lets billing see no observations", target: "/Observation?_count=5"},
		}},
	{name: "researcher", who: "A researcher, whose view is pseudonymized",
		claims: map[string]any{"sub": "u-4001", "client_id": "research-app", "roles": []string{"researcher"}, "organization": "university",
			"purpose_of_use": "HRESCH", "scope": "user/*.rs"},
		lines: []line{
			{says: "200: a patient without name and number, dates shifted", target: "/Patient?_count=1",
				has: []string{"PSEUDED"}, lacks: []string{"p001", "Yıldız", "31000037"}},
			{says: "200: the patient's pseudonym, kept in P", target: "/Patient?_count=1", keep: "P", find: "Patient/[A-Za-z0-9._-]*"},
			{says: "200: search by it", target: "/Observation?subject=$P&_count=5", has: []string{"$P", "85354-9"}, lacks: []string{"p001", "dr-2"}},
			{says: "404: real ids mean nothing here", target: "/Patient/p012", lacks: []string{"p012"}},
			{says: "400: names are hidden, so nobody may search by them", target: "/Patient?name=Schmidt"},
		}},
	{name: "laboratory", who: "A backend service, by agreement (policies/agreements.yaml)",
		claims: map[string]any{"sub": "lab-service", "client_id": "lab-service", "purpose_of_use": "TREAT", "scope": "system/Observation.rs system/DiagnosticReport.rs"},
		lines: []line{
			{says: "200: laboratory results of all wards; the link to the next page, kept in N", target: "/Observation?category=laboratory&_count=5", keep: "N", find: `http[^"]*/_page/[^"]*`},
			{says: "200: that page; the link is sealed, and anybody else gets 404 for it", target: "$N", has: []string{"searchset", "laboratory"}},
			{says: "403: its scopes name no Patient", target: "/Patient/p012"},
		}},
	{name: "nobody", who: "Somebody without rights",
		claims: map[string]any{"sub": "u-9001", "client_id": "ward-app", "scope": "user/*.cruds"},
		lines: []line{
			{says: "403: signed in, but with no role", target: "/Patient/p012"},
			{says: "401: no token", target: "/Patient/p012", open: true},
			{says: "200: what anybody may ask", target: "/metadata", open: true, has: []string{"CapabilityStatement"}, lacks: []string{"demo store"}},
		}},
}

// revoking is what becomes of a clinician's next page when a patient on it takes
// the consent back in between. Who signs in is one of the cast, or the patient.
var revoking = []act{
	{name: "clinician", lines: []line{
		{says: "200: the clinician's patients by id, and the link to her next page, kept in N", target: "/Patient?_sort=_id&_count=4", keep: "N", find: `http[^"]*/_page/[^"]*`},
	}},
	{name: "revoking-patient", claims: map[string]any{"sub": "u-2024", "client_id": "patient-app", "patient": "p024", "fhirUser": "Patient/p024",
		"scope": "openid fhirUser launch/patient patient/*.rs patient/Consent.cu"},
		lines: []line{
			{says: "200: a patient who would be on that page reads what was consented to", target: "/_gatehouse/consents", has: []string{"consent-24", "Anyone may see everything"}},
			{says: "200: and takes it back", target: "/_gatehouse/consents/consent-24", delete: true, has: []string{"inactive"}},
		}},
	{name: "clinician", lines: []line{
		{says: "200: the next page is there, Patient/p024 is not, and nothing says so", target: "$N", has: []string{`"id":"p021"`, `"id":"p027"`}, lacks: []string{"p024"}},
	}},
	{name: "revoking-patient", lines: []line{
		{says: "200: the patient reads who used the data, and who was refused it", target: "/_gatehouse/accesses?count=5", has: []string{"Practitioner/dr-1"}},
	}},
}

// breaking is a clinician who breaks the glass, and who reviews it.
var breaking = []act{
	{name: "clinician", lines: []line{
		{says: "404: a patient of another ward, unconscious in the emergency room", target: "/Patient/p013", lacks: []string{"p013"}},
		{says: "201: she breaks the glass for this patient, with a reason, for 20 minutes", target: "/_gatehouse/emergency",
			post: `{"patient": "Patient/p013", "reason": "Unconscious in the emergency room", "minutes": 20}`, has: []string{`"until"`, `"review"`}},
		{says: "200: now the patient is there", target: "/Patient/p013", has: []string{`"id":"p013"`}},
		{says: "200: and what was measured, but nobody else's", target: "/Observation?patient=Patient/p013&_count=3", has: []string{"Patient/p013"}},
		{says: "404: the next patient of that ward is not", target: "/Patient/p014", lacks: []string{"p014"}},
	}},
	{name: "privacy-officer", claims: map[string]any{"sub": "u-7001", "client_id": "privacy-desk", "roles": []string{"privacy-officer"}, "scope": "user/*.rs"},
		lines: []line{
			{says: "200: the review waits for the privacy officer, who, whom and why; its id, kept in R", target: "$M/reviews",
				keep: "R", find: `01[0-9a-f]*-[0-9a-f]*-7[0-9a-f]*-[0-9a-f]*-[0-9a-f]*`, has: []string{"Patient/p013", "Practitioner/dr-1", "Unconscious"}},
			{says: "200: whose verdict ends it", target: "$M/reviews/$R", post: `{"verdict": "justified", "note": "seen in the chart of the emergency room"}`, has: []string{`"verdict":"justified"`}},
		}},
	{name: "clinician", lines: []line{
		{says: "404: it is over", target: "/Patient/p013", lacks: []string{"p013"}},
	}},
}

// changing are those who need no lines: a nurse who may not see yet what is
// prescribed, and two officers who change that (docs/policies.md).
var changing = []act{
	{name: "nurse", claims: map[string]any{"sub": "u-6001", "client_id": "ward-app", "roles": []string{"nurse"}, "organization": internal,
		"purpose_of_use": "TREAT", "scope": "user/*.cruds"}},
	{name: "author", claims: map[string]any{"sub": "u-8001", "client_id": "compliance-desk", "roles": []string{"compliance-officer"}, "scope": "openid"}},
	{name: "approver", claims: map[string]any{"sub": "u-8002", "client_id": "compliance-desk", "roles": []string{"compliance-officer"}, "scope": "openid"}},
}

// edited is the billing clerk's line once the role table is edited.
var edited = line{says: "200: now the clerk sees what the ward measured", target: "/Observation?_count=5", has: []string{`"id":`}}
