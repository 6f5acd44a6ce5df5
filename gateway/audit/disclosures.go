package audit

import (
	"slices"
	"strings"
)

// disclosures leaves out of a report what an accounting of disclosures need not
// tell (45 CFR 164.528 (a)(1)), and counts why.
type disclosures struct {
	Form
	kept int
	left map[string]int
}

// Disclosures is a form for an accounting of disclosures: it leaves out what was
// not given, what was given for treatment, payment or operations, to the patient,
// and with the patient's authorization. What has no stated purpose is kept:
// nobody recorded that it need not be told.
func Disclosures(form Form) Form { return &disclosures{Form: form, left: map[string]int{}} }

func (d *disclosures) Line(l *Line) error {
	if why := l.untold(); why != "" {
		d.left[why]++
		return nil
	}
	d.kept++
	return d.Form.Line(l)
}

func (d *disclosures) End(s *Summary) error {
	s.Lines, s.Left = d.kept, d.left
	return d.Form.End(s)
}

// operations are the purposes of use (v3-ActReason) that are treatment, payment
// or health care operations, without those below them that are to be told all the
// same: trials, donation, government, legal proceedings, the military.
const operations = ` TREAT CAREMGT COC ETREAT BTG ERTREAT POPHLTH
	HPAYMT CLMATTCH COVAUTH COVERAGE ELIGDTRM ELIGVER ENROLLM REMITADV
	HOPERAT FRAUD HACCRED HCOMPL HDECD HDIRECT HDM HOUTCOMS HPRGRP HQUALIMP HSYSADMIN LABELING METAMGT MEMADMIN PATADMIN PATSFTY PERFMSR RECORDMGT SYSDEV HTEST TRAIN `

func operation(purpose string) bool {
	code := purpose[strings.LastIndexAny(purpose, "|#")+1:]
	return code != "" && slices.Contains(strings.Fields(operations), code)
}

// untold is why an accounting leaves the access out; "": it tells it.
func (l *Line) untold() string {
	c := &l.Record.Caller
	switch {
	case l.Outcome == Refused || l.Outcome == Failed || l.Outcome == OutcomeMaybe || len(l.Data) == 0:
		return "nothing was given"
	case c.User != "" && slices.Contains(l.Patients, c.User):
		return "to the patient"
	case changes(l.Record):
		return "a change of the record, and no disclosure"
	case l.Emergency():
		return "treatment, payment or operations"
	case len(c.Purpose) > 0 && allOperations(c.Purpose):
		return "treatment, payment or operations"
	case len(c.Purpose) > 0 && strings.HasPrefix(l.Consent, "permit Consent/"):
		return "by the patient's authorization"
	}
	return ""
}

func allOperations(purposes []string) bool {
	return !slices.ContainsFunc(purposes, func(p string) bool { return !operation(p) })
}

func changes(r *Record) bool {
	p, _ := patternOf(r.Interaction)
	return p.action == "C" || p.action == "U" || p.action == "D"
}

// entitled leaves out what is no access to a patient's data.
type entitled struct {
	Form
	kept int
}

// Entitled is a form for the information on access that a patient has a right to
// (EHDS Art. 9): who, of which provider, when and what; no attempt that failed.
func Entitled(form Form) Form { return &entitled{Form: form} }

func (e *entitled) Line(l *Line) error {
	if l.Outcome == Refused || l.Outcome == Failed || len(l.Data) == 0 || l.Record.Caller.User != "" && slices.Contains(l.Patients, l.Record.Caller.User) {
		return nil
	}
	e.kept++
	return e.Form.Line(l)
}

func (e *entitled) End(s *Summary) error {
	s.Lines = e.kept
	return e.Form.End(s)
}
