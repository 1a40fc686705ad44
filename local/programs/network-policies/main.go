// Says which traffic a set of NetworkPolicies allows, by the rules of Cyclonus, which is what network plugins
// are tested against. Reads JSON from standard input: {"policies": [NetworkPolicy], "traffic": [{"source":
// peer, "destination": peer, "port": 5432, "protocol": "TCP"}]}, where a peer is {"ip": "10.0.0.1"} and, if it
// is a pod, also {"pod": {"namespace": "n", "namespaceLabels": {}, "labels": {}}}. Writes a JSON list of
// booleans, one for each traffic.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

type pod struct {
	Namespace       string            `json:"namespace"`
	NamespaceLabels map[string]string `json:"namespaceLabels"`
	Labels          map[string]string `json:"labels"`
}

type peer struct {
	IP  string `json:"ip"`
	Pod *pod   `json:"pod"`
}

type question struct {
	Policies []*networkingv1.NetworkPolicy `json:"policies"`
	Traffic  []struct {
		Source      peer            `json:"source"`
		Destination peer            `json:"destination"`
		Port        int             `json:"port"`
		Protocol    corev1.Protocol `json:"protocol"`
	} `json:"traffic"`
}

func (p peer) traffic() *matcher.TrafficPeer {
	if p.Pod == nil {
		return &matcher.TrafficPeer{IP: p.IP}
	}
	return &matcher.TrafficPeer{IP: p.IP, Internal: &matcher.InternalPeer{
		Namespace:       p.Pod.Namespace,
		NamespaceLabels: p.Pod.NamespaceLabels,
		PodLabels:       p.Pod.Labels,
	}}
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fmt.Fprintln(os.Stderr, "standard input is not the JSON that is expected:", err)
		os.Exit(2)
	}
	policy := matcher.BuildNetworkPolicies(false, asked.Policies)
	allowed := make([]bool, len(asked.Traffic))
	for i, traffic := range asked.Traffic {
		allowed[i] = policy.IsTrafficAllowed(&matcher.Traffic{
			Source:       traffic.Source.traffic(),
			Destination:  traffic.Destination.traffic(),
			ResolvedPort: traffic.Port,
			Protocol:     traffic.Protocol,
		}).IsAllowed()
	}
	if err := json.NewEncoder(os.Stdout).Encode(allowed); err != nil {
		os.Exit(1)
	}
}
