import ArgumentParser
import LinuxProcess
import Refresh
import Resolvers
@main struct Repoint: ParsableCommand {
  @Argument var pid: Int32
  func run() throws {
    let t = try TargetProcess(ProcessID(pid))
    for r in Resolver.find(in: t) {
      switch r {
      case .glibc(let g):
        print(g.library)
        for th in try ProcessID(pid).threads() { let r = try g.read(th); print(r.thread, r.diagnosis, r.configuration as Any, r.lookup as Any, r.singleRequest as Any, r.pause as Any) }
      default: print(r)
      }
    }
  }
}
