package audit

import "time"

// writeHead writes the fields that name no patient, with as much of the caller as
// is none.
func writeHead(w *writer, r *Record, c *Caller, address string) {
	w.byte(byte(r.Kind))
	w.text(r.Request)
	w.fixed(uint64(r.Time.UnixNano()))
	w.count(int(r.Took))
	w.count(r.Count)
	w.text(address)
	w.text(r.UserAgent)
	writeCaller(w, c)
	w.text(r.Method)
	w.text(r.Interaction)
	w.text(r.Type)
	w.text(r.View)
	w.text(r.Domain)
	w.bool(r.Decision.Allow)
	w.list(r.Decision.Permits)
	w.list(r.Decision.Forbids)
	w.text(r.Decision.Revision)
	w.count(r.Status)
	w.text(r.Code)
}

func readHead(d *reader, r *Record) {
	r.Kind = Kind(d.byte())
	r.Request = d.text()
	r.Time = time.Unix(0, int64(d.fixed())).UTC()
	r.Took = time.Duration(d.uint())
	r.Count = int(d.uint())
	r.Address = d.text()
	r.UserAgent = d.text()
	readCaller(d, &r.Caller)
	r.Method = d.text()
	r.Interaction = d.text()
	r.Type = d.text()
	r.View = d.text()
	r.Domain = d.text()
	r.Decision.Allow = d.byte() == 1
	r.Decision.Permits = d.list()
	r.Decision.Forbids = d.list()
	r.Decision.Revision = d.text()
	r.Status = int(d.uint())
	r.Code = d.text()
}

// writeNotes ends the part of the log. Records without notes, and all of before
// there were any, end without.
func writeNotes(w *writer, r *Record) {
	if len(r.Notes) == 0 {
		return
	}
	w.count(len(r.Notes))
	for _, n := range r.Notes {
		w.text(n.Name)
		w.text(n.Value)
	}
}

func readNotes(d *reader, r *Record) {
	if len(d.b) == 0 {
		return
	}
	for range d.count() {
		r.Notes = append(r.Notes, Note{Name: d.text(), Value: d.text()})
	}
}

// writeOwn writes who the caller is of a record in ownFormat.
func writeOwn(w *writer, r *Record) {
	for _, s := range [...]string{r.Caller.Subject, r.Caller.User, r.Caller.Name, r.Address} {
		w.text(s)
	}
}

func readOwn(d *reader, r *Record) {
	for _, s := range [...]*string{&r.Caller.Subject, &r.Caller.User, &r.Caller.Name, &r.Address} {
		*s = d.text()
	}
}

func writeCaller(w *writer, c *Caller) {
	for _, s := range [...]string{c.Issuer, c.Subject, c.Client, c.User, c.Name, c.Organization, c.Token} {
		w.text(s)
	}
	w.list(c.Roles)
	w.list(c.Purpose)
}

func readCaller(d *reader, c *Caller) {
	for _, s := range [...]*string{&c.Issuer, &c.Subject, &c.Client, &c.User, &c.Name, &c.Organization, &c.Token} {
		*s = d.text()
	}
	c.Roles = d.list()
	c.Purpose = d.list()
}

// writeRequest writes what the request itself named: a query may hold a name or
// a social security number, so it is sealed as a patient's.
func writeRequest(w *writer, r *Record) {
	w.text(r.ID)
	w.raw(r.Query)
	w.raw(r.Body)
	w.count(len(r.Patients))
	for _, p := range r.Patients {
		w.text(p)
	}
}

func readRequest(d *reader, r *Record) {
	r.ID = d.text()
	r.Query = d.raw()
	r.Body = d.raw()
	r.Patients = d.list()
}
