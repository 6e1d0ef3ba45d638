// Looks names up now and then, with a session that it asks in between. Complains with `error ...`. GODEBUG=netdns=go|cgo says
// whether Go's own resolver does it or glibc's.
package main

import (
	"bufio"
	"fmt"
	"net"
	"time"
)

func main() {
	session, err := net.Dial("tcp", "127.0.0.1:7000")
	if err != nil {
		fmt.Println("error: session:", err)
		return
	}
	answers := bufio.NewReader(session)
	for round := 0; ; round++ {
		if _, err := net.LookupHost(fmt.Sprintf("go%d.example", round%4)); err != nil {
			fmt.Println("error: lookup:", err)
		}
		fmt.Fprintln(session, "there")
		if answer, _ := answers.ReadString('\n'); answer != "there\n" {
			fmt.Println("error: the session has ended")
		}
		time.Sleep(150 * time.Millisecond)
	}
}
