package config

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"
)

// Watch is one rule of what is watched in the stream of audit records.
type Watch struct {
	// What is counted, for each caller and window: many-patients (distinct patients
	// against what is usual), enumeration (404), off-hours, watched (patients of a
	// list), same-surname and same-address (patients who share the caller's: staff who
	// look at their own family), emergency (uses), new-types (kinds of data), new-right
	// (of a client).
	Detector string `yaml:"detector" required:"many-patients" oneof:"many-patients enumeration off-hours watched same-surname same-address emergency new-types new-right"`
	// From how many on; of many-patients how many times what is usual. Left out:
	// 3 of many-patients, 30 of enumeration, 20 of off-hours, 3 of new-types, else 1.
	Threshold int `yaml:"threshold"`
	// At least so many patients (many-patients, default 20), or so many accesses
	// seen before (new-types and new-right, default 50).
	Least int `yaml:"least"`
	// Counts begin anew with each; aligned to midnight UTC where it is days.
	Window Duration `yaml:"window" default:"24h"`
	// How far back what is usual is learned.
	History Duration `yaml:"history" default:"30d"`
	// Callers with one of these token roles alone; left out: all.
	Roles []string `yaml:"roles"`
	// Of watched: "Patient/1", …
	Patients []string `yaml:"patients"`
	// Of watched: a file with one of them a line.
	PatientsFile string `yaml:"patients_file" path:"file"`
	// Of off-hours: when people work, in the given time zone.
	Hours Hours `yaml:"hours"`
	// Channels of notify that hear of it.
	Notify []string `yaml:"notify"`
	// What it does beside telling: nothing, at most ten requests a minute, a login
	// after the alert, or a block. It never opens anything.
	Then string `yaml:"then" default:"alert" oneof:"alert throttle step_up block"`
	// How long that lasts.
	For Duration `yaml:"for" default:"1h"`

	Listed map[string]bool `yaml:"-"` // patients and those of patients_file
}

// Hours are working hours.
type Hours struct {
	// Time of day, "07:00".
	From string `yaml:"from" default:"07:00"`
	// Time of day; before from: it is past midnight.
	To string `yaml:"to" default:"19:00"`
	// Of the IANA database.
	Zone string `yaml:"zone" default:"UTC"`
	// Saturday and Sunday are working days too.
	Weekend bool `yaml:"weekend"`

	Begin, End int            `yaml:"-"` // minutes of the day
	In         *time.Location `yaml:"-"`
}

// Includes tells whether people work at a time.
func (h *Hours) Includes(t time.Time) bool {
	t = t.In(h.In)
	if day := t.Weekday(); !h.Weekend && (day == time.Saturday || day == time.Sunday) {
		return false
	}
	at := t.Hour()*60 + t.Minute()
	if h.Begin <= h.End {
		return at >= h.Begin && at < h.End
	}
	return at >= h.Begin || at < h.End
}

// Words says when people work.
func (h *Hours) Words() string {
	days := "on weekdays"
	if h.Weekend {
		days = "every day"
	}
	return fmt.Sprintf("%s to %s %s (%s)", h.From, h.To, days, h.Zone)
}

// usual are the thresholds of detectors that have one other than 1, and what is
// at least needed.
var usual = map[string]struct {
	threshold, least int
}{"many-patients": {3, 20}, "enumeration": {30, 0}, "off-hours": {20, 0}, "new-types": {3, 50}, "new-right": {1, 50}}

func (l *loader) checkWatch(c *Config) {
	for i := range c.Watch {
		w, key := &c.Watch[i], index("watch", i)
		if w.Threshold == 0 {
			w.Threshold = max(1, usual[w.Detector].threshold)
		}
		if w.Least == 0 {
			w.Least = usual[w.Detector].least
		}
		if w.Window < Duration(time.Minute) {
			l.report(key+".window", "is %s; write at least 1m", w.Window)
		}
		if w.Then != "alert" && w.For <= 0 {
			l.report(key+".for", "is %s; write how long it lasts, such as 1h", w.For)
		}
		for n, name := range w.Notify {
			if _, ok := c.Notify[name]; !ok {
				l.report(index(key+".notify", n), "%q is no channel; declare it: notify: {%s: {url: https://…}}", name, name)
			}
		}
		l.checkHours(key+".hours", &w.Hours)
		l.checkListed(key, w)
	}
}

func (l *loader) checkHours(key string, h *Hours) {
	var err error
	if h.In, err = time.LoadLocation(h.Zone); err != nil {
		l.report(key+".zone", "%q is no time zone; write one such as Europe/Oslo", h.Zone)
		h.In = time.UTC
	}
	for _, one := range []struct {
		key, text string
		to        *int
	}{{".from", h.From, &h.Begin}, {".to", h.To, &h.End}} {
		t, err := time.Parse("15:04", one.text)
		if err != nil {
			l.report(key+one.key, "%q is no time of day; write one such as 07:00", one.text)
		}
		*one.to = t.Hour()*60 + t.Minute()
	}
}

// checkListed reads whom a rule watches.
func (l *loader) checkListed(key string, w *Watch) {
	w.Listed = map[string]bool{}
	all := append([]string(nil), w.Patients...)
	if w.PatientsFile != "" {
		text, err := os.ReadFile(w.PatientsFile)
		if err != nil {
			return // said where the path is checked
		}
		for s := bufio.NewScanner(strings.NewReader(string(text))); s.Scan(); {
			if line := strings.TrimSpace(s.Text()); line != "" && line[0] != '#' {
				all = append(all, line)
			}
		}
	}
	for _, p := range all {
		if !strings.HasPrefix(p, "Patient/") || len(p) == len("Patient/") {
			l.report(key+".patients", "one of the list is no patient; write each as Patient/1")
			return
		}
		w.Listed[p] = true
	}
	if has := len(w.Listed) > 0; has != (w.Detector == "watched") {
		l.report(key+".patients", "belongs to the detector watched, which needs it: patients: [Patient/1] or patients_file")
	}
}
