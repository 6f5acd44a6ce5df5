//go:build real

package real

import (
	"net/http"
	"strings"
	"testing"
)

// One record's life: created, read, changed with and without the right
// version, patched, its history read, deleted.
func TestLifeOfARecord(t *testing.T) {
	stella := user(t, "stella", userWrites)
	first := observation("x", "p10", "")
	first = strings.Replace(first, `"id":"x",`, "", 1)
	a := send(t, http.MethodPost, "/Observation", stella, first, "Prefer", "return=representation").want(t, http.StatusCreated)
	var made resource
	a.into(t, &made)
	at := "/" + made.ref()
	if want := gate.base + at + "/_history/1"; a.header.Get("Location") != want {
		t.Fatalf("Location %q, want %q", a.header.Get("Location"), want)
	}
	tag := get(t, at, stella).want(t, 200).header.Get("ETag")
	second := observation(made.ID, "p10", `"note":[{"text":"second"}],`)
	tag2 := send(t, http.MethodPut, at, stella, second, "If-Match", tag).want(t, 200).header.Get("ETag")
	if tag2 == "" || tag2 == tag {
		t.Errorf("ETag %q after %q", tag2, tag)
	}
	send(t, http.MethodPut, at, stella, second, "If-Match", tag).want(t, http.StatusPreconditionFailed)
	send(t, http.MethodPatch, at, stella, `[{"op":"test","path":"/status","value":"final"},{"op":"replace","path":"/status","value":"amended"}]`,
		"Content-Type", "application/json-patch+json", "If-Match", tag2).want(t, 200)
	var now resource
	get(t, at, stella).want(t, 200).into(t, &now)
	if now.Status != "amended" {
		t.Errorf("status %q after the patch", now.Status)
	}
	if b := get(t, at+"/_history", stella).bundle(t); len(b.Entry) != 3 || b.Type != "history" {
		t.Errorf("history: %d entries of a %s", len(b.Entry), b.Type)
	}
	get(t, at+"/_history/1", stella).want(t, 200)
	if a := send(t, http.MethodDelete, at, stella, ""); a.status != http.StatusNoContent && a.status != http.StatusOK {
		t.Errorf("delete: status %d: %s", a.status, a.body)
	}
	get(t, at, stella).want(t, http.StatusNotFound)
}

func TestWhoMayWrite(t *testing.T) {
	ann, reader := user(t, "ann", userWrites), user(t, "stella", userReads)
	mine := observation("mine", "p11", "")
	for _, c := range []struct {
		what, method, target, token, body string
		want                              int
	}{
		{"clinician, a record that names her", "PUT", "/Observation/mine", ann, mine, http.StatusCreated},
		{"clinician, again", "PUT", "/Observation/mine", ann, mine, http.StatusOK},
		{"clinician, a record that does not name her", "PUT", "/Observation/o12a", ann, observation("o12a", "p12", ""), http.StatusNotFound},
		{"clinician, giving it to another's patient", "PUT", "/Observation/mine", ann, observation("mine", "p39", ""), http.StatusForbidden},
		{"clinician, another organization's, unseen", "PUT", "/Observation/o50a", ann, observation("o50a", "p11", ""), http.StatusNotFound},
		{"clinician deletes nothing", "DELETE", "/Observation/mine", ann, "", http.StatusForbidden},
		{"steward without the scope", "PUT", "/Observation/mine", reader, mine, http.StatusForbidden},
		{"patient writes nothing", "PUT", "/Observation/o1a", patient(t, patientApp), observation("o1a", "p1", ""), http.StatusForbidden},
		{"another id inside", "PUT", "/Observation/mine", ann, observation("other", "p11", ""), http.StatusBadRequest},
		{"another type inside", "PUT", "/Observation/mine", ann, `{"resourceType":"Patient","id":"mine"}`, http.StatusBadRequest},
		{"a member twice", "PUT", "/Observation/mine", ann, strings.Replace(mine, `"status":"final"`, `"status":"final","status":"amended"`, 1), http.StatusBadRequest},
	} {
		t.Run(c.what, func(t *testing.T) {
			send(t, c.method, c.target, c.token, c.body).want(t, c.want)
		})
	}
}

// FHIR-16: a write that is not granted tells nothing of what is there.
func TestWriteDoesNotProbe(t *testing.T) {
	ann := user(t, "ann", userWrites)
	foreign := func(id string) string {
		return `{"resourceType":"Observation","id":"` + id + `","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p55"},"performer":[{"reference":"Organization/south"}]}`
	}
	there := send(t, http.MethodPut, "/Observation/o55a", ann, foreign("o55a"))
	absent := send(t, http.MethodPut, "/Observation/absent", ann, foreign("absent"))
	if there.status != absent.status || there.code(t) != absent.code(t) {
		t.Errorf("there: %d %s, absent: %d %s", there.status, there.code(t), absent.status, absent.code(t))
	}
}

func TestConditionalWrites(t *testing.T) {
	stella := user(t, "stella", userWrites)
	once := `{"resourceType":"Observation","identifier":[{"system":"http://hospital.example/obs","value":"once"}],"status":"final","code":{"text":"pulse"},"subject":{"reference":"Patient/p13"}}`
	const key = "identifier=http://hospital.example/obs|once"
	send(t, http.MethodPost, "/Observation", stella, once, "If-None-Exist", key).want(t, http.StatusCreated)
	send(t, http.MethodPost, "/Observation", stella, once, "If-None-Exist", key).want(t, http.StatusOK)
	send(t, http.MethodPut, "/Observation?"+strings.ReplaceAll(key, "|", "%7C"), stella, once).want(t, http.StatusOK)
}

func TestBatch(t *testing.T) {
	b := send(t, http.MethodPost, "", user(t, "ann", userWrites), `{"resourceType":"Bundle","type":"batch","entry":[
		{"request":{"method":"GET","url":"Patient/p1"}},
		{"request":{"method":"GET","url":"Patient/p50"}},
		{"request":{"method":"GET","url":"Observation?subject=Patient/p5&_count=1"}},
		{"request":{"method":"DELETE","url":"Patient/p1"}}]}`).bundle(t)
	want := []string{"200", "404", "200", "403"}
	if len(b.Entry) != len(want) {
		t.Fatalf("%d entries", len(b.Entry))
	}
	for i, e := range b.Entry {
		if !strings.HasPrefix(e.Response.Status, want[i]) {
			t.Errorf("entry %d: status %q, want %s", i, e.Response.Status, want[i])
		}
	}
}

// A transaction is done whole or not at all.
func TestTransaction(t *testing.T) {
	stella := user(t, "stella", userWrites)
	whole := `{"resourceType":"Bundle","type":"transaction","entry":[
		{"fullUrl":"urn:uuid:6f3a2a52-6a8e-4f7b-9d5e-0d7a1f2b3c4d","resource":{"resourceType":"Encounter","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p14"}},"request":{"method":"POST","url":"Encounter"}},
		{"resource":{"resourceType":"Observation","id":"joined","status":"final","code":{"text":"pulse"},"subject":{"reference":"Patient/p14"},"encounter":{"reference":"urn:uuid:6f3a2a52-6a8e-4f7b-9d5e-0d7a1f2b3c4d"}},"request":{"method":"PUT","url":"Observation/joined"}}]}`
	b := send(t, http.MethodPost, "", stella, whole).bundle(t)
	if len(b.Entry) != 2 || !strings.HasPrefix(b.Entry[0].Response.Status, "201") || !strings.HasPrefix(b.Entry[1].Response.Status, "201") {
		t.Fatalf("%+v", b.Entry)
	}
	get(t, "/Observation/joined", stella).want(t, 200)
	// one entry about a patient who has refused, and nothing is done
	a := send(t, http.MethodPost, "", stella, `{"resourceType":"Bundle","type":"transaction","entry":[
		{"resource":`+observation("half", "p14", "")+`,"request":{"method":"PUT","url":"Observation/half"}},
		{"resource":`+observation("other-half", "p39", "")+`,"request":{"method":"PUT","url":"Observation/other-half"}}]}`)
	if a.status/100 != 4 {
		t.Errorf("status %d: %.300s", a.status, a.body)
	}
	get(t, "/Observation/half", stella).want(t, http.StatusNotFound)
}
