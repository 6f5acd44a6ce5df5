package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Rate is N per Per, written "50/s", "500/h", "100MiB/h"; the zero Rate is no
// limit.
type Rate struct {
	N   float64
	Per time.Duration
}

// PerSecond is the rate in units per second; 0 is no limit.
func (r Rate) PerSecond() float64 {
	if r.Per <= 0 {
		return 0
	}
	return r.N / r.Per.Seconds()
}

func (r Rate) String() string {
	if r.Per == 0 {
		return ""
	}
	for unit, per := range rateUnits {
		if per == r.Per {
			return strconv.FormatFloat(r.N, 'f', -1, 64) + "/" + unit
		}
	}
	return fmt.Sprintf("%g/%s", r.N, r.Per)
}

var rateUnits = map[string]time.Duration{
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}

func (r *Rate) parse(text string) error {
	wrong := errors.New(`is no rate; write a positive number and a unit of time, such as 50/s, 500/h or 100MiB/d`)
	amount, unit, ok := strings.Cut(text, "/")
	per := rateUnits[unit]
	if !ok || per == 0 {
		return wrong
	}
	n, err := strconv.ParseFloat(amount, 64)
	if err != nil {
		var size Size
		if size.parse(amount) != nil {
			return wrong
		}
		n = float64(size)
	}
	if n <= 0 || math.IsInf(n, 0) || math.IsNaN(n) {
		return wrong
	}
	*r = Rate{n, per}
	return nil
}

// Rates are limits that all hold, written as one Rate or as a list.
type Rates []Rate

// Duration is written as Go writes it, and with d, w and y (365 days): "5s",
// "1h30m", "180d", "6y".
type Duration time.Duration

func (d Duration) String() string {
	day := Duration(24 * time.Hour)
	if d > 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = text[:len(text)-2]
	}
	if strings.HasSuffix(text, "h0m") {
		text = text[:len(text)-2]
	}
	return text
}

var longUnits = map[byte]time.Duration{
	'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour, 'y': 365 * 24 * time.Hour,
}

// Set and Type make a Duration the value of a command's flag.
func (d *Duration) Set(text string) error {
	if err := d.parse(text); err != nil {
		return fmt.Errorf("%q %w", text, err)
	}
	return nil
}

// Type is what the usage calls it.
func (d *Duration) Type() string { return "duration" }

func (d *Duration) parse(text string) error {
	wrong := errors.New("is no duration; write a number and a unit, such as 5s, 10m, 1h, 180d or 6y")
	if text == "" {
		return wrong
	}
	if unit := longUnits[text[len(text)-1]]; unit > 0 {
		n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
		if err != nil || n > uint64(math.MaxInt64/unit) {
			return wrong
		}
		*d = Duration(time.Duration(n) * unit)
		return nil
	}
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 {
		return wrong
	}
	*d = Duration(v)
	return nil
}

// Size is bytes, written "16MiB", "64KiB", "1GiB" or a plain number.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

func (s Size) String() string {
	for _, u := range sizeUnits {
		if s > 0 && int64(s)%u.bytes == 0 {
			return fmt.Sprintf("%d%s", int64(s)/u.bytes, u.name)
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

func (s *Size) parse(text string) error {
	wrong := errors.New("is no size; write a positive number of bytes, such as 1048576, 64KiB, 16MiB or 1GiB")
	unit := int64(1)
	for _, u := range sizeUnits {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			text, unit = number, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/unit {
		return wrong
	}
	*s = Size(n * unit)
	return nil
}

// ClaimPath is a list of alternatives tried in order, each a path of member
// names. It is written as
//
//	realm_access.roles                 one dotted path
//	[resource_access, my.app, roles]   one path, for names that hold dots
//	[[a.b, roles], [groups]]           alternatives, each a path as above
//
// and for the claim `client` a list of texts is a list of alternatives:
// [client_id, azp].
type ClaimPath [][]string

func (p ClaimPath) String() string {
	all := make([]string, len(p))
	for i, path := range p {
		all[i] = strings.Join(path, ".")
	}
	return strings.Join(all, " or ")
}
