package compat

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"gatehouse/fhir"

	"lukechampine.com/blake3"
)

// params are the parameters of a rule file.
type params struct {
	dateKey                               string
	scope                                 string // resource | file | folder
	offset                                *int   // fixed, in days
	hashKey                               string
	blake                                 []byte // key of BLAKE3 where that is the hash
	cipher                                cipher.Block
	partialAges, partialDates, partialZIP bool
	restricted                            []string
}

// loader collects what is wrong with a file.
type loader struct {
	*Engine
	problems []error
}

func (l *loader) report(v *value, format string, args ...any) {
	l.problems = append(l.problems, v.errorf(l.file, format, args...))
}

func (e *Engine) configure(root *value) error {
	l := &loader{Engine: e}
	file := e.file
	if root.kind != object {
		return root.errorf(file, "a rule file has fhirPathRules and parameters")
	}
	l.head(root)
	rules := root.get("fhirPathRules")
	if rules == nil || rules.kind != array {
		return errors.Join(append(l.problems, root.errorf(file, "fhirPathRules is missing, or no list"))...)
	}
	for _, v := range rules.parts {
		r, err := e.newRule(v)
		if err != nil {
			l.report(v, "%w", err)
			continue
		}
		e.rules = append(e.rules, r)
	}
	p := root.get("parameters")
	if p == nil || p.kind != object {
		p = &value{kind: object, line: root.line, column: root.column}
	}
	l.parameters(p)
	e.noise = make([]byte, 32)
	rand.Read(e.noise) // never fails
	return errors.Join(l.problems...)
}

func (l *loader) head(root *value) {
	if v := root.get("fhirVersion"); v.string() != "" && !strings.EqualFold(v.string(), l.version.String()) {
		l.report(v, "these rules are for FHIR %s, not for %s", v.string(), l.version)
	}
	if v := root.get("processingErrors"); v != nil {
		switch strings.ToLower(v.string()) {
		case "raise":
		case "skip":
			l.skip = true
		default:
			l.report(v, "processingErrors is neither raise nor skip")
		}
	}
}

func (l *loader) parameters(v *value) {
	p := &l.params
	p.dateKey, p.hashKey = l.key(v, "dateShiftKey"), l.key(v, "cryptoHashKey")
	p.partialAges = l.flag(v, "enablePartialAgesForRedact")
	p.partialDates = l.flag(v, "enablePartialDatesForRedact")
	p.partialZIP = l.flag(v, "enablePartialZipCodesForRedact")
	l.dates(v)
	if list := v.get("restrictedZipCodeTabulationAreas"); list != nil && list.kind != null {
		if list.kind != array {
			l.report(list, "restrictedZipCodeTabulationAreas is no list")
		}
		for _, prefix := range list.parts {
			// An empty prefix is one of every code, in the tools too.
			p.restricted = append(p.restricted, prefix.string())
		}
	}
	encryptKey := []byte(l.key(v, "encryptKey"))
	if context := v.get("keyDerivationContext").string(); context != "" && l.tool == Miracum {
		encryptKey = l.derive(v, context, encryptKey)
	}
	if len(encryptKey) > 0 {
		block, err := aes.NewCipher(encryptKey)
		if err != nil {
			l.report(v.get("encryptKey"), "encryptKey has %d bytes; it must have 16, 24 or 32", len(encryptKey))
		}
		p.cipher = block
	}
	l.algorithm(v)
	l.needed(v)
}

// key is one of the file's keys. An empty one may be made from a key of the house,
// the same each time, where the tools would draw one that nobody knows.
func (l *loader) key(v *value, name string) string {
	text := v.get(name).string()
	if text != "" || !l.fill || l.keys == nil {
		return text
	}
	sum, err := l.keys.MAC("compat", "key", name)
	if err != nil {
		l.report(v, "make %s: %w", name, err)
	}
	return hex.EncodeToString(sum)[:min(32, 2*len(sum))] // 32 bytes, as encrypt wants
}

func (l *loader) flag(v *value, name string) bool {
	f := v.get(name)
	switch strings.ToLower(f.string()) {
	case "true", "yes", "on", "y", "1":
		return true
	case "", "false", "no", "off", "n", "0":
		return false
	}
	l.report(f, "%s is neither true nor false", name)
	return false
}

func (l *loader) dates(v *value) {
	l.params.scope = "resource"
	if s := v.get("dateShiftScope"); s.string() != "" {
		l.params.scope = strings.ToLower(s.string())
		if l.params.scope != "resource" && l.params.scope != "file" && l.params.scope != "folder" {
			l.report(s, "dateShiftScope is none of resource, file, folder")
		}
	}
	if o := v.get("dateShiftFixedOffsetInDays"); o != nil && o.kind != null {
		days, err := o.integer()
		if err != nil || days < -maxOffset || days > maxOffset {
			l.report(o, "dateShiftFixedOffsetInDays is no number of days")
		}
		l.params.offset = &days
	}
}

// maxOffset keeps shifted dates within the calendar, in days.
const maxOffset = 365 * 100

// derive makes a key of its own for the context from each master key (D12).
func (l *loader) derive(v *value, context string, encryptKey []byte) []byte {
	part := func(master, purpose string) []byte {
		if master == "" {
			return nil
		}
		key, err := hkdf.Key(sha256.New, []byte(master), []byte("FhirPseudonymizer.KeyDerivation.v1"), context+":"+purpose, 32)
		if err != nil {
			l.report(v, "derive key: %w", err)
		}
		return key
	}
	l.params.hashKey = hex.EncodeToString(part(l.params.hashKey, "cryptoHash"))
	return part(string(encryptKey), "encrypt")
}

func (l *loader) algorithm(v *value) {
	a := v.get("cryptoHashAlgorithm")
	switch name := strings.ToLower(a.string()); {
	case name == "" || name == "hmacsha256" || l.tool != Miracum: // the other tool does not know the parameter
	case name != "blake3":
		l.report(a, "cryptoHashAlgorithm is neither HmacSha256 nor Blake3")
	case fips140.Enabled():
		l.report(a, "Blake3 is no approved hash and is off in FIPS mode; write HmacSha256")
	case l.params.hashKey != "":
		l.params.blake = make([]byte, 32)
		blake3.DeriveKey(l.params.blake, "FhirPseudonymizer.CryptoHash.Blake3.v1", []byte(l.params.hashKey))
	}
}

// needed refuses an empty key that a rule uses: the tools make one up, and two
// runs would not fit each other. Unused it may be empty.
func (l *loader) needed(v *value) {
	p := &l.params
	for _, r := range l.rules {
		missing := ""
		switch r.method.name {
		case cryptoHash:
			missing = l.missing(p.hashKey == "", "cryptoHashKey")
		case encrypt:
			missing = l.missing(p.cipher == nil, "encryptKey")
		case dateShift:
			missing = l.missing(p.dateKey == "" && p.offset == nil, "dateShiftKey")
		case pseudonymize:
			if l.keys == nil {
				l.report(r.at, "method pseudonymize needs a key (--key-file, or pseudonyms.key_file)")
			}
		}
		if missing != "" {
			l.report(r.at, "method %s needs %s, which is empty; write one under parameters", r.method.name, missing)
		}
	}
}

func (l *loader) missing(is bool, name string) string {
	if is {
		return name
	}
	return ""
}

// known reports a type of the release.
func (e *Engine) known(typ string) error {
	if e.version.Kind(typ) == fhir.Unknown {
		return fmt.Errorf("%s is not a type", typ)
	}
	return nil
}
