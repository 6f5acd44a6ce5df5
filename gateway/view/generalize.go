package view

import (
	"encoding/binary"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// generalize leaves a coarser value.
func (r *run) generalize(parent, i int, kind prim, m *method) bool {
	switch m.to {
	case "year", "month":
		if !kind.dated() || kind == primInstant { // which cannot be cut
			return false
		}
		d, ok := parseDate(r.peek(i))
		if !ok || r.tooOld(d, m.maxAge) {
			return false
		}
		return r.coarse(i, kind, d, m.digits)
	case "zip":
		return r.zip(i, m)
	case "age":
		// On anything but a number the rule is not about an age.
		return (kind == primDecimal || kind == primInteger) && r.age(parent, i, m)
	}
	return false
}

var usZIP = regexp.MustCompile(`^[0-9]{5}(-[0-9]{4})?$`)

// zip leaves the first digits of a US ZIP code, or 000 where so few people
// live that they would single somebody out. Codes of other shapes go.
func (r *run) zip(i int, m *method) bool {
	code := r.peek(i)
	if !usZIP.MatchString(code) {
		return false
	}
	prefix := code[:min(m.digits, 3)]
	for _, list := range m.lists {
		if strings.Contains(restrictedZIP[list], code[:3]) {
			return r.quoted(i, "000"[:len(prefix)])
		}
	}
	return r.quoted(i, prefix)
}

// restrictedZIP are three-digit prefixes with at most 20,000 people, by the census they
// were counted in: as the HHS guidance on 45 CFR 164.514 prints them, and of 2020, for
// which it prints none, as the populations of the ZIP Code Tabulation Areas add up
// (2020 Census DHC, table P1: 894 prefixes, 334,726,586 people). Behind those of 2020
// stand the prefixes without any area, as of the military: nobody is counted in them.
var restrictedZIP = map[string]string{
	"2000": "036 059 063 102 203 556 692 790 821 823 830 831 878 879 884 890 893",
	"2010": "036 059 102 203 205 369 556 692 821 823 878 879 884 893",
	"2020": "036 059 102 202 203 204 205 369 556 692 753 772 821 823 878 879 884 893 " +
		"000 001 002 003 004 005 008 055 090 091 092 093 094 095 096 097 098 099 192 213 269 311 332 340 343 345 348" +
		" 353 375 399 419 428 429 459 509 517 518 519 529 533 536 552 555 568 569 578 579 589 621 632 642 643 649 659" +
		" 663 682 694 695 696 697 698 699 702 709 715 732 733 742 771 817 818 819 839 842 848 849 854 858 861 862 866" +
		" 867 868 869 872 876 885 886 887 888 889 892 896 899 901 909 929 938 942 962 963 964 965 966 969 987",
}

// ageUnits are UCUM codes and words of units in which an age is told, and how many
// make a year.
var ageUnits = map[string]float64{
	"a": 1, "year": 1, "years": 1, "yr": 1, "yrs": 1, "y": 1, "yo": 1, "y/o": 1, "ann": 1, "annus": 1,
	"jahr": 1, "jahre": 1, "jahren": 1, "jaar": 1, "jaren": 1, "an": 1, "ans": 1, "anno": 1, "anni": 1, "ano": 1, "anos": 1, "año": 1, "años": 1, "år": 1,
	"mo": 12, "month": 12, "months": 12, "mon": 12, "mos": 12, "monat": 12, "monate": 12, "monaten": 12, "mois": 12,
	"wk": 52.1775, "wks": 52.1775, "week": 52.1775, "weeks": 52.1775, "woche": 52.1775, "wochen": 52.1775,
	"d": 365.25, "day": 365.25, "days": 365.25, "tag": 365.25, "tage": 365.25, "tagen": 365.25, "jour": 365.25, "jours": 365.25,
	"h": 8766, "hr": 8766, "hrs": 8766, "hour": 8766, "hours": 8766, "min": 525960, "s": 31557600,
}

// yearsIn tells how many of a unit make a year: of a code, which may have a suffix
// (a_j, the Julian year) or an annotation in braces, and of words ("years old", "Yrs.").
func yearsIn(unit string) (n float64, ok bool) {
	var lower [len("years of age")]byte
	if len(unit) > len(lower) {
		unit, _, _ = strings.Cut(unit, "{")
	}
	if len(unit) > len(lower) || unit == "A" { // ampere
		return 0, false
	}
	for i := range len(unit) {
		c := unit[i]
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	if n, ok = ageUnits[string(lower[:len(unit)])]; ok {
		return n, true
	}
	n, ok = ageUnits[bareUnit(string(lower[:len(unit)]))]
	return n, ok
}

// bareUnit is a unit without what may stand around it.
func bareUnit(u string) string {
	if whole, ok := strings.CutPrefix(u, "{"); ok {
		return strings.TrimSuffix(whole, "}")
	}
	u, _, _ = strings.Cut(u, "{")
	if i := len(u) - 2; i > 0 && u[i] == '_' { // a_j, a_t, a_g, mo_s
		u = u[:i]
	}
	for _, end := range [...]string{" old", " of age", ".", "(s)"} {
		u = strings.TrimSuffix(u, end)
	}
	return strings.TrimSpace(u)
}

// age pools ages above the bound: what is older reads as one year above it, in
// its own unit. Quantities in other units are none.
func (r *run) age(parent, i int, m *method) bool {
	perYear, isAge := 1.0, m.isAge
	for _, name := range [...]string{"code", "unit"} {
		if at := r.tree.Get(parent, name); at >= 0 {
			if n, ok := yearsIn(r.peek(at)); ok {
				perYear, isAge = n, true
				break
			}
		}
	}
	if !isAge {
		return true
	}
	value, err := strconv.ParseFloat(string(r.raw(i)), 64)
	if err != nil {
		return false
	}
	if value < float64(m.maxAge+1)*perYear {
		return true
	}
	return r.value(i, strconv.AppendInt(nil, int64(float64(m.maxAge+1)*perYear), 10))
}

// perturb adds noise that is the same each time it is asked for: noise drawn
// anew would average out.
func (r *run) perturb(i int, f *field, m *method) bool {
	if f.kind != primDecimal && f.kind != primInteger {
		return false
	}
	raw := string(r.raw(i))
	v, ok := new(big.Float).SetString(raw)
	if !ok {
		return false
	}
	sum, err := r.view.codec.mac(r.ctx.Domain, "perturb:"+r.here.typ+"/"+r.id()+"."+f.info.Name, raw)
	if err != nil {
		return r.fail("perturb", err)
	}
	unit := float64(binary.BigEndian.Uint64(sum)>>11)/(1<<53) - 0.5
	value, _ := v.Float64()
	noise := unit * m.span
	if m.ratio {
		noise *= value
	}
	digits := m.roundTo
	if f.kind == primInteger {
		digits = 0
	}
	value += noise
	switch f.info.Type {
	case "positiveInt":
		value = max(value, 1)
	case "unsignedInt":
		value = max(value, 0)
	}
	return r.value(i, strconv.AppendFloat(nil, value, 'f', digits, 64))
}

var scrubbed = regexp.MustCompile(`(?i)[\w.+-]+@[\w-]+(\.[\w-]+)+|https?://\S+|\b\d{3}-\d{2}-\d{4}\b|\+?\d[\d ()/.-]{5,}\d|\b\d{1,4}[-./]\d{1,2}[-./]\d{1,4}\b|\b\d{6,}\b`)

// scrub blanks what looks like an address, a number or a date in free text,
// and the names and numbers that are known of the patient. It is a help, not a
// guarantee.
func (r *run) scrub(i int, m *method) bool {
	if m.known && !r.ctx.KnownWhole {
		return false // whose names could stand in it is not known
	}
	text := scrubbed.ReplaceAllString(r.peek(i), "***")
	for _, known := range r.known() {
		if len(known) > 2 {
			text = replaceFold(text, known)
		}
	}
	return r.quoted(i, text)
}

func replaceFold(text, known string) string {
	re, err := regexp.Compile(`(?i)` + regexp.QuoteMeta(known))
	if err != nil {
		return "***"
	}
	return re.ReplaceAllString(text, "***")
}
