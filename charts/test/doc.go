// Package charttest renders the chart with Helm's own library, holds what comes
// out against the types of Kubernetes, and starts the binary in the pod that was
// rendered. It is a module of its own: Helm and Kubernetes are no part of Gatehouse.
package charttest
