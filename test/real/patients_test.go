//go:build real

package real

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// The people of this hospital: p1 to p40 belong to the organization north, p41
// to p60 to south. All but two have agreed to being treated: p39 has refused
// and p40 was never asked.
const (
	family  = "Quillfeather" // in every name, to find it where it must not be
	north   = 40
	people  = 60
	refuses = 39
	unasked = 40
)

// visible are the patients that a clinician of north may see.
func visible() (ids []string) {
	for i := 1; i <= north; i++ {
		if i != refuses && i != unasked {
			ids = append(ids, fmt.Sprintf("Patient/p%d", i))
		}
	}
	return ids
}

// load writes the records into the FHIR server, past the gateway.
func load(base string) error {
	all := []string{
		`{"resourceType":"Organization","id":"north","name":"Northern Hospital"}`,
		`{"resourceType":"Organization","id":"south","name":"Southern Hospital"}`,
		`{"resourceType":"Practitioner","id":"ann","name":[{"family":"Archer"}]}`,
		`{"resourceType":"Practitioner","id":"nina","name":[{"family":"Nord"}]}`,
	}
	for i := 1; i <= people; i++ {
		all = append(all, records(i)...)
	}
	all = append(all, oddities(base)...)
	for len(all) > 0 {
		n := min(len(all), 120)
		if err := transact(base, all[:n]); err != nil {
			return fmt.Errorf("load patients: %w", err)
		}
		all = all[n:]
	}
	return nil
}

// records are a patient's, each with something that real ones have.
func records(i int) []string {
	org := "north"
	if i > north {
		org = "south"
	}
	p := fmt.Sprintf("p%d", i)
	list := []string{
		fmt.Sprintf(`{"resourceType":"Patient","id":%q,"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">%s &amp; kin</div>"},
			"extension":[{"url":"http://hospital.example/weight-factor","valueDecimal":1.10}],"identifier":[{"system":"http://hospital.example/mrn","value":"MRN-%d"}],
			"name":[{"use":"official","family":"%s%d","given":["Ünal"]}],"gender":"female","birthDate":"19%02d-03-04","managingOrganization":{"reference":"Organization/%s"}}`, p, family, i, family, i, 30+i, org),
		fmt.Sprintf(`{"resourceType":"Encounter","id":"e%d","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/%s"},"serviceProvider":{"reference":"Organization/%s"}}`, i, p, org),
	}
	for _, o := range []string{"a", "b"} {
		list = append(list, fmt.Sprintf(`{"resourceType":"Observation","id":"o%d%s","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},
			"subject":{"reference":"Patient/%s"},"encounter":{"reference":"Encounter/e%d"},"performer":[{"reference":"Organization/%s"},{"reference":"#who"}],
			"contained":[{"resourceType":"Practitioner","id":"who","name":[{"text":"a locum"}]}],"effectiveDateTime":"2026-0%d-01","valueQuantity":{"value":%d.50,"unit":"/min"}}`, i, o, p, i, org, 1+i%9, 50+i))
	}
	switch i {
	case unasked:
		return list
	case refuses:
		return append(list, consent(i, "deny"))
	}
	return append(list, consent(i, "permit"))
}

func consent(i int, provision string) string {
	return fmt.Sprintf(`{"resourceType":"Consent","id":"c%d","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},
		"category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],"patient":{"reference":"Patient/p%d"},"provision":{"type":%q}}`, i, i, provision)
}

// oddities stand out from the rest.
func oddities(base string) []string {
	return []string{
		// restricted, and for nobody at all
		observation("restricted", "p1", `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},`),
		observation("sealed", "p1", `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]},`),
		// about nobody that can be named
		`{"resourceType":"Observation","id":"nobodys","status":"final","code":{"text":"room temperature"},"performer":[{"reference":"Organization/north"}]}`,
		`{"resourceType":"Observation","id":"logical","status":"final","code":{"text":"x"},"subject":{"identifier":{"system":"http://hospital.example/mrn","value":"MRN-1"}},"performer":[{"reference":"Organization/north"}]}`,
		// an absolute URL of the server itself, and bytes
		fmt.Sprintf(`{"resourceType":"DocumentReference","id":"d1","status":"current","subject":{"reference":"Patient/p1"},"custodian":{"reference":"Organization/north"},
			"content":[{"attachment":{"contentType":"text/plain","url":"%s/Binary/b1"}},{"attachment":{"contentType":"text/plain","data":"aGVsbG8="}}]}`, base),
		// under treatment by nina, who belongs to no organization's rule
		`{"resourceType":"Encounter","id":"stay","status":"in-progress","class":{"code":"IMP"},"subject":{"reference":"Patient/p2"},"participant":[{"individual":{"reference":"Practitioner/nina"}}]}`,
	}
}

func observation(id, patient, more string) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":%q,%s"status":"final","code":{"text":"pulse"},"subject":{"reference":"Patient/%s"},"performer":[{"reference":"Organization/north"},{"reference":"Practitioner/ann"}]}`, id, more, patient)
}

// transact puts resources under their own ids.
func transact(base string, resources []string) error {
	type request struct {
		Method string `json:"method"`
		URL    string `json:"url"`
	}
	type entry struct {
		Resource json.RawMessage `json:"resource"`
		Request  request         `json:"request"`
	}
	var entries []entry
	for _, r := range resources {
		var named struct{ ResourceType, ID string }
		if err := json.Unmarshal([]byte(r), &named); err != nil {
			return fmt.Errorf("%w in %s", err, r)
		}
		entries = append(entries, entry{json.RawMessage(r), request{"PUT", named.ResourceType + "/" + named.ID}})
	}
	b, err := json.Marshal(map[string]any{"resourceType": "Bundle", "type": "transaction", "entry": entries})
	if err != nil {
		return err
	}
	_, err = directly(http.MethodPost, base, string(b))
	return err
}

// directly talks to the FHIR server past the gateway.
func directly(method, url, body string) (string, error) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/fhir+json")
	resp, err := patientClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: status %d: %.400s", method, url, resp.StatusCode, b)
	}
	return string(b), err
}

// patientClient waits as long for a first write as for a start.
var patientClient = &http.Client{Timeout: patience}
