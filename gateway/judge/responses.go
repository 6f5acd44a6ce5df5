package judge

import (
	"fmt"
	"strconv"

	"gatehouse/fhir/wire"
	"gatehouse/gateway/policy"
)

// Response is what a transaction-response says of one entry. Resources in it
// are not read: whoever wrote may read only what a read would give.
type Response struct {
	Status         int
	Location, ETag string
}

// Responses reads the entries of a transaction-response, in order.
func Responses(held policy.Unjudged, by *policy.Evaluation, limit int64) ([]Response, error) {
	body, err := held.Open(by)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var list []Response
	b := wire.NewBundle(body, wire.Limits{Entry: limit})
	for {
		raw, err := b.Next()
		if ended(err) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		r, err := readResponse(raw)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	if string(b.Member("type")) != `"transaction-response"` {
		return nil, fmt.Errorf("%w: not a transaction-response", ErrMalformed)
	}
	return list, nil
}

var responsePlan = wire.NewPlan("response.status", "response.location", "response.etag")

func readResponse(raw []byte) (Response, error) {
	hits, err := responsePlan.Skim(raw, nil)
	if err != nil {
		return Response{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var r Response
	for _, h := range hits {
		text, err := wire.Unquote(raw[h.Start:h.End])
		if err != nil {
			return Response{}, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		switch h.Path {
		case 0:
			if len(text) < 3 {
				return Response{}, fmt.Errorf("%w: status", ErrMalformed)
			}
			if r.Status, err = strconv.Atoi(text[:3]); err != nil {
				return Response{}, fmt.Errorf("%w: status", ErrMalformed)
			}
		case 1:
			r.Location = text
		case 2:
			r.ETag = text
		}
	}
	return r, nil
}
