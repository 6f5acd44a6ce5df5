package sink

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/config"
	"gatehouse/gateway/audit"
)

// rfc5424 is the grammar of a message with structured data; a value escapes its
// quotes, backslashes and closing brackets.
var rfc5424 = regexp.MustCompile(`^<\d{1,3}>1 \S+ [!-~]+ gatehouse \d+ [!-~]+ (-|\[gatehouse@32473( [a-z]+="([^"\\\]]|\\["\\\]])*")+\]) \x{FEFF}(.*)$`)

// ATNA: the messages are the XML of DICOM, with the user as IUA names it.
func TestATNA(t *testing.T) {
	l, r := openLog(t), newSyslogServer(t).(*syslogServer)
	r.set(true)
	c := r.sink(t)
	c.Format, c.Fields = "atna", "full"
	fill(t, l, 0, 2)
	s, stop := start(t, c, options(l, t.TempDir()))
	awaited(t, "delivered", func() bool { return s.Next() == l.Durable() })
	awaited(t, "read", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.msgs) >= 3 })
	stop()
	m := r.msgs[1]
	_, text, _ := strings.Cut(m, "\xef\xbb\xbf")
	var a struct {
		Event struct {
			Action  string `xml:"EventActionCode,attr"`
			Outcome string `xml:"EventOutcomeIndicator,attr"`
			ID      struct {
				Code string `xml:"csd-code,attr"`
			} `xml:"EventID"`
		} `xml:"EventIdentification"`
		Who []struct {
			Name string `xml:"UserName,attr"`
		} `xml:"ActiveParticipant"`
		What []struct {
			ID string `xml:"ParticipantObjectID,attr"`
		} `xml:"ParticipantObjectIdentification"`
	}
	if err := xml.Unmarshal([]byte(text), &a); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	whole := fmt.Sprint(a)
	for _, want := range []string{"<f9b1c3@https://idp.example.org>", "Patient/canary", "rest"} {
		if !strings.Contains(whole, want) {
			t.Errorf("message lacks %q: %s", want, text)
		}
	}
	if a.Event.Action != "R" || a.Event.Outcome != "0" || !strings.Contains(m, " DICOM+RFC3881 - ") {
		t.Errorf("message %s", m)
	}
}

// U-05: whatever a request holds, a message is one line that reads as RFC 5424,
// with nothing in it that a terminal or a parser acts on.
func FuzzSyslogMessage(f *testing.F) {
	for _, s := range []string{"plain", "a\r\nb", "\x1b[31m", "a\u202eb", `q"]\`, "\x00\xff", strings.Repeat("ä]", 5000), "\u2028\u2066"} {
		f.Add(s, s, s)
	}
	s := &syslog{host: hostname()}
	atna := &syslog{host: hostname(), atna: true}
	f.Fuzz(func(t *testing.T, sub, id, interaction string) {
		r := &audit.Record{Kind: audit.Outcome, Request: id, Time: time.Unix(1700000000, 0), Address: sub, Caller: audit.Caller{Subject: sub, Client: id, User: sub, Name: sub, Roles: []string{id}},
			Interaction: interaction, Type: interaction, ID: id, Patients: []string{"Patient/" + id}, Status: 200, Code: sub, Notes: []audit.Note{{Name: id, Value: sub}}}
		events, err := audit.NewStream("gatehouse.test/audit", nil).Add(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			for _, to := range []*syslog{s, atna} {
				m, err := to.message(e)
				if err != nil {
					t.Fatal(err)
				}
				checkMessage(t, m, to.atna)
			}
		}
	})
}

func checkMessage(t *testing.T, m []byte, dicom bool) {
	parts := rfc5424.FindSubmatch(m)
	if parts == nil || !utf8.Valid(m) {
		t.Fatalf("no message of RFC 5424: %q", m)
	}
	for _, r := range string(m[:len(m)-len(parts[4])-3]) {
		if !unicode.IsPrint(r) {
			t.Fatalf("%U in the header of %q", r, m)
		}
	}
	for _, r := range string(parts[4]) {
		if !unicode.IsPrint(r) {
			t.Fatalf("%U in the text of %q", r, m)
		}
	}
	if dicom {
		if err := xml.Unmarshal(parts[4], new(struct{ XMLName xml.Name })); err != nil {
			t.Fatalf("%v: %s", err, parts[4])
		}
	} else if !json.Valid(parts[4]) {
		t.Fatalf("no JSON: %s", parts[4])
	}
}

// A certificate that nobody trusts gets nothing.
func TestSyslogTrustsNobodyElse(t *testing.T) {
	l, r, other := openLog(t), newSyslogServer(t).(*syslogServer), newSyslogServer(t).(*syslogServer)
	r.set(true)
	c := r.sink(t)
	c.CAFile = other.ca
	s, stop := start(t, c, options(l, t.TempDir()))
	awaited(t, "trouble", func() bool { return s.Trouble() != nil })
	stop()
	if len(r.got()) > 0 {
		t.Error("sent to a server with a foreign certificate")
	}
}

// Of a sink without a name, what it is called stays while its place does.
func TestSinkIsCalledByItsPlace(t *testing.T) {
	a, b := config.Sink{Type: "fhir", URL: "https://a"}, config.Sink{Type: "fhir", URL: "https://b"}
	if a.ID() == b.ID() || !strings.HasPrefix(a.ID(), "fhir-") {
		t.Errorf("%s and %s", a.ID(), b.ID())
	}
}
