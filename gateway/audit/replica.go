package audit

import "strings"

// ReplicaOrigin is the origin of the log of one of several replicas, whose name has
// neither slash nor "@"; of a gateway that is alone ("") it is the gateway's.
func ReplicaOrigin(origin, replica string) string {
	if replica == "" {
		return origin
	}
	return origin + "@" + replica
}

// eventPrefix keeps the ids of events apart that several replicas send to one place.
func eventPrefix(origin string) string {
	_, replica, ok := strings.Cut(origin[strings.LastIndexByte(origin, '/')+1:], "@")
	if !ok {
		return ""
	}
	return replica + "-"
}
