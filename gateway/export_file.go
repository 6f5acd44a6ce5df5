package gateway

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"gatehouse/gateway/judge"
	"gatehouse/gateway/upstream"
)

const fhirNDJSON = "application/fhir+ndjson"

// windowTime is how long a client may take to read one window of a file. A file
// as a whole has no end set to it.
const windowTime = 5 * time.Minute

// exportFile streams a file, judged window by window: each is recorded before
// its first byte leaves, charged as it does, and forgotten after. Whole files
// alone are served: a range of the upstream's bytes is none of the client's.
func (x *exchange) exportFile(ctx context.Context, m *matter) error {
	f := &exportedFile{x: x, buf: buffers.Get().(*bytes.Buffer)}
	defer f.recycle()
	if x.job.Target == "" {
		return f.release(ctx, &judge.Window{First: true, Last: true})
	}
	answer, err := x.forward(ctx, m, upstream.Request{Method: http.MethodGet, Target: x.job.Target, Accept: upstream.NDJSON, Slow: true})
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		discard(answer)
		return x.jobStatus(answer)
	}
	lines, err := x.exportCourt(m).OpenLines(answer.Body, x.job.File, x.s.windows())
	if err != nil {
		return internal(err)
	}
	defer lines.Close()
	for {
		w, err := lines.Next(ctx)
		if err != nil {
			return x.brokenPage(nil, err)
		}
		if err := f.release(ctx, w); err != nil || w.Last {
			return err
		}
	}
}

// exportedFile is a file on its way to the client.
type exportedFile struct {
	x     *exchange
	buf   *bytes.Buffer
	began bool
	mark  watermark // of what was released
}

func (f *exportedFile) recycle() {
	if f.buf.Reset(); f.buf.Cap() <= 1<<20 {
		buffers.Put(f.buf)
	}
}

// release records a window and then lets it go. A client that has used up its
// limits gets no more of the file, and is not left to believe that it is whole.
func (f *exportedFile) release(ctx context.Context, w *judge.Window) error {
	x := f.x
	entries, patients := f.compose(w)
	length := int64(-1)
	if w.Last {
		x.outcome(http.StatusOK, "ok")
		if w.First {
			length = int64(f.buf.Len())
		}
		if err := x.commit(ctx); err != nil {
			return err
		}
	} else if err := x.part(ctx); err != nil {
		return err
	}
	exhausted := x.charge(entries, f.buf.Len(), patients)
	if !f.began {
		f.began = true
		x.out.w.Header().Set("Accept-Ranges", "none")
		x.out.begin(head{status: http.StatusOK, contentType: fhirNDJSON, length: length, notice: f.mark.header()})
	}
	_ = http.NewResponseController(x.out.w).SetWriteDeadline(time.Now().Add(windowTime)) // where it cannot be set, the server's own ends sooner
	if _, err := x.out.w.Write(f.buf.Bytes()); err != nil {
		return clientGone(err)
	}
	if exhausted && !w.Last {
		return &failure{status: http.StatusTooManyRequests, code: "limit.client", text: "Your client has used up its limit."}
	}
	return nil
}

// compose writes the lines that the window releases, and notes all of it.
func (f *exportedFile) compose(w *judge.Window) (entries int, patients []string) {
	f.buf.Reset()
	f.x.roomFor(len(w.Items))
	for _, it := range w.Items {
		if it.Released == nil {
			f.x.withheld(it)
			continue
		}
		f.buf.Write(it.Released)
		f.buf.WriteByte('\n')
		f.mark.add(&it.Verdict.Facts)
		f.x.released(it)
		entries, patients = entries+1, append(patients, it.Verdict.Facts.Patients...)
	}
	return entries, patients
}
