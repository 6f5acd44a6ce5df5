package consent

import (
	"bytes"
	"slices"
	"strings"
)

// broader gives for a v3-ActReason purpose the one that it is a kind of. BTG
// stands alone: a rule for treatment neither opens nor closes the glass
// (CONS-07).
var broader = map[string]string{
	"CAREMGT": "TREAT", "CLINTRCH": "TREAT", "COC": "TREAT", "ETREAT": "TREAT", "POPHLTH": "TREAT", "TREATDS": "TREAT",
	"CLMATTCH": "HPAYMT", "COVAUTH": "HPAYMT", "COVERAGE": "HPAYMT", "PMTDS": "HPAYMT", "REMITADV": "HPAYMT",
	"ELIGDTRM": "COVERAGE", "ELIGVER": "COVERAGE", "ENROLLM": "COVERAGE", "MILDCRG": "COVERAGE",
	"BIORCH": "HRESCH", "CLINTRCHNPC": "HRESCH", "CLINTRCHPC": "HRESCH", "DSRCH": "HRESCH", "POARCH": "HRESCH", "PREHR": "HRESCH", "TRANSRCH": "HRESCH",
	"DONAT": "HOPERAT", "FRAUD": "HOPERAT", "GOV": "HOPERAT", "HACCRED": "HOPERAT", "HCOMPL": "HOPERAT", "HDECD": "HOPERAT", "HDIRECT": "HOPERAT", "HDM": "HOPERAT",
	"HLEGAL": "HOPERAT", "HOUTCOMS": "HOPERAT", "HPRGRP": "HOPERAT", "HQUALIMP": "HOPERAT", "HSYSADMIN": "HOPERAT", "LABELING": "HOPERAT", "MEMADMIN": "HOPERAT",
	"METAMGT": "HOPERAT", "PATADMIN": "HOPERAT", "PATSFTY": "HOPERAT", "PERFMSR": "HOPERAT", "RECORDMGT": "HOPERAT", "SYSDEV": "HOPERAT", "TRAIN": "HOPERAT",
	"DISASTER": "PUBHLTH", "THREAT": "PUBHLTH", "FAMRQT": "PATRQT", "PWATRNY": "PATRQT", "SUPNWK": "PATRQT",
}

// subsumes tells whether a purpose that was asked for is, or is a kind of, the
// one that a provision names.
func subsumes(named, asked string) bool {
	for depth := 0; depth < 8; depth++ {
		if asked == named {
			return true
		}
		next, ok := broader[asked]
		if !ok {
			return false
		}
		asked = next
	}
	return false
}

// narrower is the closure of sensitivity codes: what v3-ActCode or IHE PCF has
// under a code (CONS-08).
var narrower = map[string][]string{
	"ETH": {"ETHUD", "OPIOIDUD"}, "SUD": {"ETHUD", "OPIOIDUD"},
	"SPI": {"PSY", "PSYTHPN", "BH", "COGN", "DVD", "EMOTDIS", "MH", "SUD", "ETHUD", "OPIOIDUD"},
	"BH":  {"COGN", "DVD", "EMOTDIS", "MH", "PSY", "PSYTHPN", "SUD", "ETHUD", "OPIOIDUD"},
	"MH":  {"PSY", "PSYTHPN"}, "PSY": {"PSYTHPN"}, "SEX": {"SDV"},
}

// beside are codes for nearly the same, which one table has under each other
// and another has not: who denies one is taken to mean the other, and who
// permits one is not.
var beside = map[string][]string{
	"ETH": {"SUD"}, "SUD": {"ETH"}, "SPI": {"ETH"}, "BH": {"ETH"}, "SDV": {"SEX"}, "PSY": {"MH"},
}

// sensitive tells whether a label is the one named, or a kind of it.
func sensitive(named, label string) match {
	switch {
	case named == label, slices.Contains(narrower[named], label):
		return yes
	case slices.Contains(beside[named], label):
		return unknown
	}
	return no
}

const miiPolicies = "2.16.840.1.113883.3.1937.777.24.5.3"

// miiUse are the modules of the German MII consent that are about the use of
// clinical data for research, of now and of the past. The others, about
// collecting, contact or samples, are about no access that is made here.
var miiUse = map[string]bool{miiPolicies + ".8": true, miiPolicies + ".46": true}

func miiModule(c coding) (string, bool) { return c.code, strings.HasPrefix(c.code, miiPolicies+".") }

// mii tells whether the Consent is written in the German MII's modules.
func (f *form) mii() bool { return bytes.Contains(f.t.Doc, []byte(`"`+miiPolicies+".")) }

// implicitPolicies are those of IHE PCF for patients with no Consent (CONS-02).
var implicitPolicies = map[string]*provision{
	"Policy-deny":       {kind: deny, path: "Policy-deny"},
	"Policy-all-normal": {kind: permit, path: "Policy-all-normal"},
	"Policy-basic-normal": {kind: deny, path: "Policy-basic-normal", exceptions: []provision{
		{kind: permit, path: "Policy-basic-normal", clinician: true, purposes: []string{"TREAT"}}}},
	"Policy-break-glass-only": {kind: deny, path: "Policy-break-glass-only", exceptions: []provision{
		{kind: permit, path: "Policy-break-glass-only", clinician: true, purposes: []string{"BTG"}}}},
	"permit": {kind: permit},
	"deny":   {kind: deny},
}

// implicitPolicy is PCF's policy of a canonical URI, nil where it is none.
func implicitPolicy(uri string) *provision {
	name, ok := strings.CutPrefix(uri, "https://profiles.ihe.net/ITI/PCF/")
	if !ok {
		return nil
	}
	return implicitPolicies[name]
}

// purposes are the codes of v3-ActReason that a form may name.
var purposes = func() map[string]bool {
	all := set("TREAT", "HPAYMT", "HOPERAT", "HRESCH", "PUBHLTH", "PATRQT", "HMARKT", "BTG")
	for code := range broader {
		all[code] = true
	}
	return all
}()

// sensitivities are the codes of v3-ActCode that a form may name.
var sensitivities = func() map[string]bool {
	all := set("HIV", "STD", "SEX", "SDV", "SICKLE", "GDIS", "DVD", "MST", "SCA", "PREGNANT", "SPI")
	for code, list := range narrower {
		all[code] = true
		for _, l := range list {
			all[l] = true
		}
	}
	return all
}()
