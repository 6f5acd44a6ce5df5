// Package paper writes reports of the audit trail as PDF, to be printed and
// handed to a patient.
package paper

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/gateway/audit"

	"github.com/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
)

const (
	margin = 18.0 // millimetres
	line   = 5.0
)

// form is one document: what each access was, in words, and what it was made from.
type form struct {
	w   io.Writer
	pdf *fpdf.Fpdf
}

// NewPDF writes a report as A4 pages. Letters that the typeface has not (it has
// Latin, Greek and Cyrillic) are shown as □.
func NewPDF(w io.Writer, title string, q audit.Question, now time.Time) audit.Form {
	pdf := fpdf.New("P", "mm", "A4", "")
	pdf.AddUTF8FontFromBytes("Go", "", goregular.TTF)
	pdf.AddUTF8FontFromBytes("Go", "B", gobold.TTF)
	pdf.SetMargins(margin, margin, margin)
	pdf.SetAutoPageBreak(true, margin)
	pdf.SetTitle(title, true)
	pdf.SetCreationDate(now)
	pdf.AliasNbPages("")
	pdf.SetFooterFunc(func() {
		pdf.SetY(-12)
		pdf.SetFont("Go", "", 8)
		pdf.CellFormat(0, line, fmt.Sprintf("%s · page %d of {nb}", printable(q.About()), pdf.PageNo()), "", 0, "C", false, 0, "")
	})
	pdf.AddPage()
	f := &form{w, pdf}
	f.text("B", 16, title)
	f.text("", 10, "About: "+q.About())
	f.text("", 10, "Made on "+now.UTC().Format(time.DateTime)+" UTC. Times are in UTC.")
	return f
}

func (f *form) text(style string, size float64, text string) {
	f.pdf.SetFont("Go", style, size)
	f.pdf.MultiCell(0, line*max(1, size/11), printable(text), "", "L", false)
	f.pdf.Ln(1)
}

func (f *form) Line(l *audit.Line) error {
	f.pdf.Ln(1)
	f.text("B", 10, l.When.Format("2006-01-02 15:04:05")+"  "+l.Outcome+emergency(l))
	f.text("", 10, l.Words)
	detail := []string{"application " + or(l.Application, "not known"), "request " + l.Request}
	if len(l.Patients) > 1 {
		detail = append(detail, fmt.Sprintf("%d patients", len(l.Patients)))
	}
	if l.View != "" {
		detail = append(detail, "through the view "+l.View)
	}
	f.text("", 8, strings.Join(detail, " · "))
	return f.pdf.Error()
}

func emergency(l *audit.Line) string {
	if l.Emergency() {
		return ", by emergency access"
	}
	return ""
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (f *form) End(s *audit.Summary) error {
	f.pdf.Ln(3)
	if s.Lines == 0 {
		f.text("", 10, "There is no access to tell of.")
	}
	for _, why := range slices.Sorted(maps.Keys(s.Left)) {
		f.text("", 9, fmt.Sprintf("Left out: %d, %s.", s.Left[why], why))
	}
	f.text("", 9, s.MadeFrom())
	if s.Err != nil {
		f.text("B", 10, "The log is damaged: what came after is not in this report.")
	}
	if err := f.pdf.Output(f.w); err != nil {
		return fmt.Errorf("write PDF: %w", err)
	}
	return nil
}

// printable has no rune that the typeface has not: it would be left out, and a
// name with a letter missing is another name.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0x20 && r < 0x7f, r >= 0xa0 && r < 0x180, r >= 0x384 && r < 0x460, r == '×', r == '·', r == '–', r == '—', r == '…', r == '□', r >= 0x2018 && r <= 0x201e:
			return r
		}
		return '□'
	}, s)
}
