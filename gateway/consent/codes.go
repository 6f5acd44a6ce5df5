package consent

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

// narrower is the closure of sensitivity codes: where v3-ActCode and IHE PCF
// disagree on what stands under what, both hold (CONS-08).
var narrower = map[string][]string{
	"ETH": {"ETHUD", "OPIOIDUD", "SUD"}, "SUD": {"ETHUD", "OPIOIDUD", "ETH"},
	"SPI": {"PSY", "PSYTHPN", "BH", "COGN", "DVD", "EMOTDIS", "MH", "SUD", "ETH", "ETHUD", "OPIOIDUD"},
	"BH":  {"COGN", "DVD", "EMOTDIS", "MH", "PSY", "PSYTHPN", "SUD", "ETH", "ETHUD", "OPIOIDUD"},
	"MH":  {"PSY", "PSYTHPN"}, "PSY": {"PSYTHPN"},
}

func sensitive(named, label string) bool {
	if named == label {
		return true
	}
	for _, n := range narrower[named] {
		if n == label {
			return true
		}
	}
	return false
}
