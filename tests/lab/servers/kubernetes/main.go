// Command k8slab is a whole Kubernetes in one binary, for tests: etcd, the control plane, kubectl, kwok (which
// plays the kubelets) and metrics-server. The first argument says which one to be; the others are its own flags.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	metricsserver "sigs.k8s.io/metrics-server/cmd/metrics-server/app"
)

const usage = "usage: k8slab etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubectl|kwok|metrics-server|rewrite [flags]"

// commands are those that follow Kubernetes' own conventions for a command line.
var commands = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubectl":                 kubectl.NewDefaultKubectlCommand,
	"metrics-server": func() *cobra.Command {
		return metricsserver.NewMetricsServerCommand(genericapiserver.SetupSignalHandler())
	},
}

func main() {
	if len(os.Args) < 2 {
		fail(usage)
	}
	name := os.Args[1]
	os.Args = append([]string{name}, os.Args[2:]...) // each program reads os.Args as if it were alone
	switch name {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kwok":
		exitOn(runKwok())
	case "rewrite":
		exitOn(rewrite(os.Args[1:], os.Stdin, os.Stdout))
	default:
		command, known := commands[name]
		if !known {
			fail(fmt.Sprintf("k8slab: no program %q here; %s", name, usage))
		}
		os.Exit(cli.Run(command()))
	}
}

func exitOn(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(sentence string) {
	fmt.Fprintln(os.Stderr, sentence)
	os.Exit(2)
}
