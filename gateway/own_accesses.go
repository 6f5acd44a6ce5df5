package gateway

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gatehouse/gateway/audit"
)

// This file is {base}/_gatehouse/accesses: who used a patient's data, out of the
// audit trail, newest first, in pages.

const (
	accessesPage     = 50
	accessesMost     = 200
	accessesSegments = 4 // read back for one page; a page may be short of what follows
	accessesLife     = 24 * time.Hour
)

func (x *exchange) accessesOf(ctx context.Context, below, query string) error {
	if err := x.askedOwn("$gatehouse-accesses"); err != nil {
		return err
	}
	switch {
	case below != "":
		return absent(nil)
	case x.r.Method != http.MethodGet:
		return wrongMethod("GET", "GET lists who used your data.")
	}
	values, err := url.ParseQuery(query)
	for name, list := range values {
		if name != "patient" && name != "count" && name != "page" || len(list) != 1 {
			err = fmt.Errorf("parameter")
		}
	}
	count := accessesPage
	if n := values.Get("count"); err == nil && n != "" {
		count, err = strconv.Atoi(n)
	}
	if err != nil || count < 1 || count > accessesMost {
		return &failure{status: http.StatusBadRequest, code: "operation.parameter",
			text: fmt.Sprintf("The parameters here are patient=Patient/1, count (1 to %d) and page, as next gives it.", accessesMost)}
	}
	patient, err := x.patientInCharge(values.Get("patient"))
	if err != nil {
		return err
	}
	before, err := x.openAccessPage(patient, values.Get("page"))
	if err != nil {
		return err
	}
	return x.tellAccesses(ctx, patient, before, count)
}

func (x *exchange) tellAccesses(ctx context.Context, patient string, before int64, count int) error {
	if !x.g.reports.TryAcquire(1) { // each reads and opens whole segments
		return &failure{status: http.StatusServiceUnavailable, code: "gateway.busy", retry: time.Second, text: "Other reports are being made. Try again."}
	}
	defer x.g.reports.Release(1)
	key, err := auditKey(x.s.cfg)
	if err != nil {
		return internal(err)
	}
	trail, err := audit.OpenReader(x.s.cfg.Audit.Dir, key)
	if err != nil {
		return internal(err)
	}
	found, next, err := trail.Accesses(patient, before, count, accessesSegments)
	if err != nil {
		return internal(fmt.Errorf("read the audit trail: %w", err)) // fewer accesses than there were would be believed
	}
	if found == nil {
		found = []audit.Access{}
	}
	answer := map[string]any{"patient": patient, "accesses": found}
	if next > 0 {
		values := url.Values{"page": {x.s.sealer.Seal("accesses", x.caller.bind+"\x00"+patient, binary.BigEndian.AppendUint64(nil, uint64(next)), x.start.Add(accessesLife))}}
		if patient != x.caller.subject.Patient {
			values.Set("patient", patient)
		}
		if count != accessesPage {
			values.Set("count", strconv.Itoa(count))
		}
		answer["next"] = x.s.publicURL + accessesPath + "?" + values.Encode()
	}
	return x.answerOwn(ctx, http.StatusOK, answer, "")
}

// openAccessPage is where a page goes on: the handle is bound to its caller and
// patient, since it tells how much everybody did.
func (x *exchange) openAccessPage(patient, handle string) (int64, error) {
	if handle == "" {
		return 0, nil
	}
	b, err := x.s.sealer.Open("accesses", x.caller.bind+"\x00"+patient, handle, x.start)
	if err != nil || len(b) != 8 {
		return 0, absent(err)
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}
