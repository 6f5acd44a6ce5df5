package audit

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// U-05: nothing stored can forge a line, colour a terminal or run backwards,
// and nothing is longer than its cap.
func TestHostileTexts(t *testing.T) {
	tests := map[string]string{
		"a\r\n{\"forged\":1}": `a\u{d}\u{a}{"forged":1}`,
		"\x1b[31mred":         `\u{1b}[31mred`,
		"nul\x00":             `nul\u{0}`,
		"\u202egnp.exe":       `\u{202e}gnp.exe`,
		"\u2066x\u2069\u200f": `\u{2066}x\u{2069}\u{200f}`,
		"line\u2028sep":       `line\u{2028}sep`,
		"broken\xff\xc3":      `broken\xff\xc3`,
		"real \ufffd":         "real \ufffd",
		`back\slash`:          `back\\slash`,
		"Zoë Müller 山田":       "Zoë Müller 山田",
		`"quotes' stay`:       `"quotes' stay`,
	}
	for in, want := range tests {
		if got, cut := clean(in); got != want || cut {
			t.Errorf("clean(%q) = %q, %v; want %q", in, got, cut, want)
		}
	}
	if got, cut := clean(strings.Repeat("a", 1<<20)); len(got) != maxText || !cut {
		t.Errorf("a megabyte is kept as %d bytes, cut %v", len(got), cut)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\r\n")
	f.Add("\u202e\\")
	f.Fuzz(func(t *testing.T, in string) {
		got, _ := clean(in)
		if len(got) > maxText+16 || !utf8.ValidString(got) {
			t.Fatalf("clean(%q) = %q", in, got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("clean(%q) keeps %q", in, r)
			}
		}
	})
}

// U-05: a hostile request is stored whole where it must be (the raw query) and
// harmless everywhere else.
func TestHostileRecord(t *testing.T) {
	o := testOptions(t.TempDir())
	l := mustOpen(t, o)
	bad := "x\r\n\x1b[2J\u202e" + strings.Repeat("A", 1<<20)
	r := smallRead(1)
	r.UserAgent, r.Caller.Subject, r.Caller.Roles, r.Decision.Forbids = bad, bad, []string{bad}, []string{bad}
	r.Request, r.Type, r.Code, r.Entries[0].Reason = bad, bad, bad, bad
	r.Entries[0].ID, r.Entries[0].Patients = bad, []string{bad, "Patient/p1"}
	r.Query = []byte("/Patient?name=\x00\xff\r\n")
	r.Body = bytes.Repeat([]byte("b"), 1<<20)
	mustAppend(t, l, r)
	mustClose(t, l)
	got := mustRead(t, o.Dir)[0]
	if !got.Cut || !bytes.Equal(got.Query, r.Query) || len(got.Body) != maxRaw {
		t.Errorf("cut %v, query %q, body of %d bytes", got.Cut, got.Query, len(got.Body))
	}
	for _, s := range []string{got.UserAgent, got.Caller.Subject, got.Caller.Roles[0], got.Decision.Forbids[0], got.Request,
		got.Type, got.Code, got.Entries[0].Reason, got.Entries[0].ID, got.Entries[0].Patients[0]} {
		if len(s) > maxText+16 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("stored %d bytes of %.40q", len(s), s)
		}
	}
	var b bytes.Buffer
	if _, err := Export(o.Dir, testKey, &b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "\x1b") || strings.Contains(b.String(), "\u202e") {
		t.Error("export prints control characters")
	}
}

// What opens but was not written by this code is an error, never a panic.
func FuzzOpen(f *testing.F) {
	keys := newKeyring(newSecrets())
	s := sealers.Get().(*sealer)
	for _, r := range []*Record{smallRead(1), searchPage(3)} {
		if _, _, err := s.seal(keys, r); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(s.w.b))
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		s := &sealer{out: []byte{0, recordFormat, 0, 0, 0, 0, 0, 0, 0, 0}}
		s.w.b = append(s.w.b, plain...)
		s.encrypt(keys.log, 0)
		open(keys, s.out[leafPrefix:])
	})
}

// U-05: no cell of a report is a formula to a spreadsheet, whatever comes before its
// first sign.
func TestNoCellIsAFormula(t *testing.T) {
	for text, want := range map[string]string{"": "", "ward-app": "ward-app", "a=b": "a=b", "2026-01-01": "2026-01-01",
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(1)": "'@SUM(1)", "\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1",
		" =1": "' =1", "\u00a0=1": "'\u00a0=1", "＝1": "'＝1", "＠x": "'＠x"} {
		if got := Cell(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
