// Package support writes bundles of diagnostics that leave the house, and refuses
// those that hold a secret or somebody's data.
package support

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// File is one of a bundle.
type File struct {
	Name string
	Text string
}

// Write writes the files as a gzipped tar, each readable by its owner alone.
func Write(w io.Writer, files []File, now time.Time) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	for _, f := range files {
		head := &tar.Header{Name: "gatehouse-support/" + f.Name, Mode: 0o600, Size: int64(len(f.Text)), ModTime: now.Truncate(time.Second)}
		if err := t.WriteHeader(head); err != nil {
			return fmt.Errorf("write bundle: %w", err)
		}
		if _, err := io.WriteString(t, f.Text); err != nil {
			return fmt.Errorf("write bundle: %w", err)
		}
	}
	if err := t.Close(); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return z.Close()
}

// Known is what may not be in a bundle, and is known to the letter: by text, what it is.
type Known map[string]string

// Add takes a text, unless it is so short or so common that it would be found in
// everything. Shapes finds references to short ids.
func (k Known) Add(text, what string) {
	text = strings.TrimFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if utf8.RuneCountInString(text) >= shortest && !common[text] {
		k[text] = what
	}
}

// shortest is how long a text must be to tell anything by itself.
const shortest = 5

// common are words of diagnostics that somebody's name or id may be too.
var common = map[string]bool{"patient": true, "observation": true, "practitioner": true, "gatehouse": true, "unknown": true, "active": true, "final": true,
	"error": true, "debug": true, "false": true, "reader": true, "admin": true, "default": true, "level": true, "localhost": true, "127.0.0.1": true}

// Finding is a place that keeps a bundle from being written. It does not quote it.
type Finding struct {
	File string
	Line int
	What string
}

func (f Finding) String() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.What) }

// shapes are what secrets and patient data look like, wherever they are from.
var shapes = []struct {
	what string
	form *regexp.Regexp
}{
	{"a token", regexp.MustCompile(`eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+`)},
	{"credentials", regexp.MustCompile(`(?i)\b(?:bearer|basic|dpop)[ =:]+[A-Za-z0-9._~+/-]{16,}`)},
	{"credentials in a URL", regexp.MustCompile(`[a-z]://[^/\s:@"]*:[^/\s@"]+@`)},
	{"a private key", regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY`)},
	{"a key", regexp.MustCompile(`gatehouse-key-v[0-9]`)},
	{"a resource", regexp.MustCompile(`\\*"resourceType\\*"\s*:\s*\\*"[A-Z]`)},
	{"a reference to a record", regexp.MustCompile(`\b(?:` + types + `)/[A-Za-z0-9.-]{1,64}\b`)},
	{"an e-mail address", regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}`)},
	{"a US social security number", regexp.MustCompile(`\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b`)},
}

// types are those of records that are about somebody, or lead there. Organizations
// stand in configurations.
const types = `Patient|Person|RelatedPerson|Observation|Condition|Encounter|EpisodeOfCare|DiagnosticReport|DocumentReference|Binary|Medication[A-Z][A-Za-z]+|Immunization|Procedure|` +
	`AllergyIntolerance|CarePlan|CareTeam|Claim|ClaimResponse|Coverage|ExplanationOfBenefit|Account|Appointment|ServiceRequest|Specimen|Consent|Composition|Communication|` +
	`FamilyMemberHistory|Goal|ImagingStudy|QuestionnaireResponse|RiskAssessment|Flag|Device|DeviceRequest|Provenance|AuditEvent|Group|NutritionOrder|RequestGroup|Task|VisionPrescription|Media|Bundle|List`

// Scan finds what is known, whole words of it, and what has the shape of a secret or of
// patient data: in the text as it is, and as its escapes read.
func Scan(files []File, known Known) (found []Finding) {
	for _, f := range files {
		n := 0
		for line := range strings.Lines(f.Text) {
			n++
			if what := scanLine(line, known); what != "" {
				found = append(found, Finding{f.Name, n, "looks like " + what})
			}
		}
	}
	return found
}

func scanLine(line string, known Known) string {
	forms := []string{line}
	plain := unescape(line)
	if plain != line {
		forms = append(forms, plain)
	}
	if spaced := strings.ReplaceAll(plain, "+", " "); spaced != plain { // as forms and queries write a space
		forms = append(forms, spaced)
	}
	for _, text := range forms {
		for _, s := range shapes {
			if s.form.MatchString(text) {
				return s.what
			}
		}
		if what := known.in(strings.ToLower(text)); what != "" {
			return what
		}
	}
	return ""
}

// in looks up every run of words that could be a known text: with millions of them,
// looking for each would take hours.
func (k Known) in(line string) string {
	starts, ends := words(line)
	for i, from := range starts {
		for j := i; j < min(i+longest, len(ends)); j++ {
			if what, ok := k[line[from:ends[j]]]; ok {
				return what
			}
		}
	}
	return ""
}

// longest is how many words a known text may have to be found.
const longest = 96

// words are where runs of letters, and of digits, begin and end: in 2026-02-13T08 the
// date is four of them.
func words(line string) (starts, ends []int) {
	before := rune(0) // none, 'a' or '1'
	for i, r := range line {
		now := rune(0)
		if unicode.IsLetter(r) {
			now = 'a'
		} else if unicode.IsDigit(r) {
			now = '1'
		}
		if now != before && before != 0 {
			ends = append(ends, i)
		}
		if now != before && now != 0 {
			starts = append(starts, i)
		}
		before = now
	}
	if before != 0 {
		ends = append(ends, len(line))
	}
	return starts, ends
}

var escapes = regexp.MustCompile(`%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\[bfnrt/"]|&#x?[0-9A-Fa-f]{1,6};`)

// unescape reads the escapes of URLs, JSON and XML.
func unescape(line string) string {
	for range 3 { // one within the other
		next := escapes.ReplaceAllStringFunc(line, func(e string) string {
			digits, base := strings.TrimLeft(e, `%\u&#;`), 16
			switch {
			case e == `\/` || e == `\"`:
				return e[1:]
			case len(e) == 2: // a line's end, a tab: what follows is a word of its own
				return " "
			case strings.HasPrefix(e, "&#x"):
				digits = strings.TrimSuffix(e[3:], ";")
			case strings.HasPrefix(e, "&#"):
				digits, base = strings.TrimSuffix(e[2:], ";"), 10
			case e[0] == '%':
				n, _ := strconv.ParseUint(e[1:], 16, 8) // two hex digits
				return string([]byte{byte(n)})
			}
			n, err := strconv.ParseUint(digits, base, 32)
			if err != nil {
				return e
			}
			return string(rune(n))
		})
		if next == line {
			break
		}
		line = next
	}
	return line
}
