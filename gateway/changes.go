package gateway

import (
	"errors"

	"gatehouse/config"
	"gatehouse/gateway/policy"
)

var errNoChange = errors.New("no change")

// changed is the policy of the change that was activated last.
func (s *stores) changed(*config.Config) (policy.Options, error) {
	return policy.Options{}, errNoChange
}
