// Package kin tells whether two people bear the same surname or live at the same
// address, and remembers neither: what it keeps are hashes under a key that this
// process drew and tells nobody.
package kin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// salt makes the hashes worthless to all but this process, and gone with it.
var salt = func() []byte { b := make([]byte, 32); _, _ = rand.Read(b); return b }() // Read never fails

type mark [16]byte

func marked(kind, text string) (m mark) {
	h := hmac.New(sha256.New, salt)
	h.Write([]byte(kind + "\x00" + text))
	copy(m[:], h.Sum(nil))
	return m
}

// Marks are what is remembered of one person: nothing that can be read.
type Marks struct {
	names []mark
	homes []home
}

// home is a street with its number in a postal code, or in a town.
type home struct{ code, town mark }

// most bounds what one person's record can cost.
const most = 16

// Empty tells that there is nothing to compare.
func (m *Marks) Empty() bool { return len(m.names)+len(m.homes) == 0 }

// Same compares two people.
func (m *Marks) Same(o *Marks) (surname, address bool) {
	return slices.ContainsFunc(m.names, func(n mark) bool { return slices.Contains(o.names, n) }),
		slices.ContainsFunc(m.homes, func(h home) bool { return slices.ContainsFunc(o.homes, h.same) })
}

// same goes by the postal codes where both are known: towns have streets of one
// name.
func (h home) same(o home) bool {
	if none := (mark{}); h.code != none && o.code != none {
		return h.code == o.code
	} else if h.town == none {
		return false
	}
	return h.town == o.town
}

// Name adds a surname: each part of a double one, without particles.
func (m *Marks) Name(surname string) {
	words := words(surname)
	parts := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return particles[w] })
	if len(parts) == 0 {
		parts = words // a surname that is a particle elsewhere: Le, Y
	}
	for _, p := range parts {
		if n := marked("name", p); len(m.names) < most && !slices.Contains(m.names, n) {
			m.names = append(m.names, n)
		}
	}
}

// Home adds an address: street with number, postal code, town. Without street, or
// without both of the others, it is nobody's home.
func (m *Marks) Home(street, code, town string) {
	at := words(street)
	for i, w := range at {
		if at[i] = streets[w]; at[i] == "" {
			at[i] = strings.ReplaceAll(w, "strasse", "str")
		}
	}
	slices.Sort(at) // the number stands before the street or behind it
	var h home
	if where := strings.Join(words(code), ""); where != "" && len(at) > 0 {
		h.code = marked("code", where+"\x00"+strings.Join(at, " "))
	}
	if where := strings.Join(words(town), " "); where != "" && len(at) > 0 {
		h.town = marked("town", where+"\x00"+strings.Join(at, " "))
	}
	if h != (home{}) && len(m.homes) < most {
		m.homes = append(m.homes, h)
	}
}

// Join adds what is known of the same person from elsewhere.
func (m *Marks) Join(o *Marks) Marks {
	return Marks{names: slices.Concat(m.names, o.names), homes: slices.Concat(m.homes, o.homes)}
}

var particles = setOf("al and bin da dal de del della den der des di do dos du e el ibn la las le les los mac mc of op os ten ter van vd vom von vor y zu zum zur")

var streets = map[string]string{"street": "st", "road": "rd", "avenue": "ave", "lane": "ln", "drive": "dr"}

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		set[w] = true
	}
	return set
}

// words are a text's words as one clerk or another may have typed them: without
// case, accents, apostrophes and full stops; ae is ä.
func words(text string) []string {
	text = text[:min(len(text), 512)]
	plain := make([]rune, 0, len(text))
	for _, r := range norm.NFKD.String(cases.Fold().String(text)) {
		switch {
		case unicode.Is(unicode.Mn, r), r == '\'', r == '’', r == 'ʼ', r == '.':
		case unicode.IsLetter(r), unicode.IsDigit(r):
			plain = append(plain, r)
		default:
			plain = append(plain, ' ')
		}
	}
	return strings.Fields(spellings.Replace(string(plain)))
}

var spellings = strings.NewReplacer("ae", "a", "oe", "o", "ue", "u", "ø", "o", "æ", "a", "œ", "o", "ł", "l", "đ", "d", "ı", "i")
