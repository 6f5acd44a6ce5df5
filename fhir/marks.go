package fhir

import "slices"

// levels are the codes of v3-Confidentiality, weakest first.
var levels = []string{"U", "L", "M", "N", "R", "V"}

// Level is the rank of a code of v3-Confidentiality, 1 for the weakest; 0 for
// what is none.
func Level(label string) int {
	if len(label) != 1 {
		return 0
	}
	return slices.Index(levels, label) + 1
}

// Confidentiality is the highest level among labels, "" where there is none.
func Confidentiality(labels []string) string {
	best := 0
	for _, l := range labels {
		best = max(best, Level(l))
	}
	if best == 0 {
		return ""
	}
	return levels[best-1]
}

// Of v3-ActCode, what may stand in meta.security, by kind.
var (
	// Obligations are what a recipient must do with a record (v3-ObligationPolicy).
	obligations = []string{"ANONY", "AOD", "AUDIT", "AUDTR", "CPLYCC", "CPLYCD", "CPLYCUI", "CPLYJPP", "CPLYJSP", "CPLYOPP", "CPLYOSP", "CPLYPOL",
		"DECLASSIFYLABEL", "DEID", "DELAU", "DOWNGRDLABEL", "DRIVLABEL", "ENCRYPT", "ENCRYPTR", "ENCRYPTT", "ENCRYPTU", "HUAPRV",
		"LABEL", "MASK", "MINEC", "PERSISTLABEL", "PRIVMARK", "CUIMark", "PSEUD", "REDACT", "UPGRDLABEL"}
	// Refrains are what nobody may do with it (v3-RefrainPolicy).
	refrains = []string{"NOAUTH", "NOCOLLECT", "NODSCLCD", "NODSCLCDS", "NOINTEGRATE", "NOLIST", "NOMOU", "NOORGPOL", "NOPAT", "NOPERSISTP",
		"NORDSCLCD", "NORDSCLCDS", "NORDSCLW", "NORELINK", "NOREUSE", "NOVIP", "ORCON"}
	// Marks are shown with it.
	marks = []string{"ConfidentialMark", "COPYMark", "ControlledUnclassifiedInformation", "CONTROLLEDMark", "CUI", "CUIHLTH", "CUIHLTHP", "CUIP", "CUIPRVCY", "CUIPRVCYP", "CUISP-HLTH", "CUISP-HLTHP", "CUISP-PRVCY", "CUISP-PRVCYP",
		"DeliverToAddresseeOnlyMark", "DRAFTMark", "PROCESSINLINELABEL", "RedisclosureProhibitionMark", "RestrictedConfidentialityMark", "SecurityLabelMark"}
	// Sensitivities, privacy laws and compartments tell what it is about.
	sensitivities = []string{"42CFRPart2", "CommonRule", "HIPAANOPP", "HIPAAPsyNotes", "HIPAAROA", "HIPAASelfPay", "Title38Section7332",
		"ETH", "GDIS", "HIV", "MST", "PREGNANT", "SCA", "SDV", "SEX", "SPI", "BH", "COGN", "DVD", "EMOTDIS", "MH", "PSY", "PSYTHPN", "SUD", "ETHUD", "OPIOIDUD", "STD", "TBOO", "VIO", "SICKLE",
		"DEMO", "DOB", "GENDER", "LIVARG", "MARST", "PATLOC", "RACE", "REL", "B", "EMPL", "LOCIS", "SSP", "ADOL", "CEL", "DIA", "DRGIS", "EMP", "PDS", "PHY", "PRS",
		"COMPT", "ACOCOMPT", "CDSSCOMPT", "CTCOMPT", "FMCOMPT", "HRCOMPT", "LRCOMPT", "PACOMPT", "RESCOMPT", "RMGTCOMPT",
		"EMRGONLY", "GRANTORCHOICE", "IMPLIED", "IMPLIEDD", "NOCONSENT", "NOPP", "OPTIN", "OPTINR", "OPTOUT", "OPTOUTE"}
)

// IsObligation reports whether a label is one of v3-ObligationPolicy.
func IsObligation(label string) bool { return slices.Contains(obligations, label) }

// IsHandling reports whether a label tells its reader what to do or show, and
// not what the record is about: obligations, refrains and marks.
func IsHandling(label string) bool {
	return IsObligation(label) || slices.Contains(refrains, label) || slices.Contains(marks, label)
}

// formerLevels were codes of v3-Confidentiality; servers have them still.
var formerLevels = []string{"B", "C", "D", "I", "S", "T"}

// KnownLabels are the codes of v3 that are labels, in a map of the caller's own.
func KnownLabels() map[string]bool {
	known := map[string]bool{}
	for _, list := range [][]string{levels, formerLevels, obligations, refrains, marks, sensitivities} {
		for _, code := range list {
			known[code] = true
		}
	}
	return known
}
