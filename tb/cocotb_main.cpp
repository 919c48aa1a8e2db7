// The main program of a Verilator model under cocotb, in place of the one that comes with cocotb. It can toggle the
// module's `clk` itself (tb/clock.py), so that a cycle in which no callback is due costs two evaluations and little
// else; a clock that cocotb drives costs four and two callbacks. A model with delays of its own (Verilator's
// --timing) is woken when they end.
//
// Usage: PROGRAM [--trace-file FILE] [+plusargs]. Waves are recorded if the model was built with them and FILE is given.
//
// One moment of simulated time goes the way cocotb expects: what was waiting for the time is called; then written values
// and the clock's edge arrive together; then, until nothing changes, the design is evaluated and what waited for a value
// is called. A value written by what waited for a clock's edge so arrives after that edge.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#include "Vtop.h"
#include "verilated.h"
#include "verilated_vpi.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using Waves = VerilatedFstC;
#elif VM_TRACE
#include "verilated_vcd_c.h"
using Waves = VerilatedVcdC;
#else
struct Waves {  // built without: there is nothing to record
    void open(const char *) {}
    void dump(std::uint64_t) {}
    void close() {}
};
#endif

extern "C" void vlog_startup_routines_bootstrap();  // cocotb's: registers its callback for the start of simulation

namespace {

using Time = std::uint64_t;  // in units of the time precision
constexpr Time NEVER = ~Time{0};  // also what Verilator says when nothing waits for a time

template <typename Top>
auto clock_of(Top &top, int) -> decltype(&top.clk) {
    return &top.clk;
}
template <typename Top>
CData *clock_of(Top &, long) {
    return nullptr;  // no port of that name
}

struct Clock {
    CData *signal = nullptr;
    CData level = 1;  // after the next edge
    Time next = NEVER, half = 0;

    bool edge(Time now) {
        if (next != now) return false;
        *signal = level;
        level = !level;
        next += half;
        return true;
    }
} the_clock;

class Simulation {
  public:
    explicit Simulation(VerilatedContext *context) : context{context}, top{context, ""} {
        the_clock.signal = clock_of(top, 0);
    }

    void record(const char *path) {
        waves = std::make_unique<Waves>();
#if VM_TRACE
        top.trace(waves.get(), 99);
#endif
        waves->open(path);
    }

    void run() {
        VerilatedVpi::callCbs(cbStartOfSimulation);
        call_waiting_for_values();
        evaluate();
        call_waiting_for_values();
        settle();
        while (!context->gotFinish()) {
            const Time next = std::min({Time{VerilatedVpi::cbNextDeadline()}, the_clock.next, delay_ends()});
            if (next == NEVER) break;
            context->time(next);
            VerilatedVpi::callCbs(cbNextSimTime);
            call_waiting_for_values();
            VerilatedVpi::callTimedCbs();
            call_waiting_for_values();
            settle();
        }
        top.final();
        finish();
    }

    void finish() {
        VerilatedVpi::callCbs(cbEndOfSimulation);
#if VM_COVERAGE
        context->coveragep()->write("coverage.dat");  // in the folder of the run
#endif
        if (waves) waves->close();
    }

  private:
    void settle() {
        // What was written without delay is seen before the clock's edge.
        if (VerilatedVpi::evalNeeded()) evaluate();
        bool changed = arrive() || delay_ends() == context->time();
        do {
            for (; changed; changed = arrive()) evaluate();
            VerilatedVpi::callCbs(cbReadWriteSynch);
            changed = arrive();
        } while (changed);
        top.eval_end_step();
        VerilatedVpi::callCbs(cbReadOnlySynch);
        if (waves) waves->dump(context->time());
    }

    Time delay_ends() { return top.eventsPending() ? top.nextTimeSlot() : NEVER; }

    void evaluate() {
        VerilatedVpi::clearEvalNeeded();
        top.eval_step();
    }

    // Values written and the clock's edge; whether the design must be evaluated.
    bool arrive() {
        VerilatedVpi::doInertialPuts();
        const bool edge = the_clock.edge(context->time());
        call_waiting_for_values();
        return edge || VerilatedVpi::evalNeeded();
    }

    // What is called may write what another waits for.
    static void call_waiting_for_values() {
        while (VerilatedVpi::callValueCbs()) {
        }
    }

    VerilatedContext *const context;
    Vtop top;
    std::unique_ptr<Waves> waves;  // goes before the model it records
};

}  // namespace

// For tb/clock.py, through ctypes. The clock is set to 1 at the time of the call, as soon as values written before
// arrive, and then changes every `half` units; false if there is no port `clk`.
extern "C" bool clock_start(std::uint64_t half) {
    if (!the_clock.signal || !half) return false;
    the_clock.level = 1;
    the_clock.half = half;
    the_clock.next = Verilated::threadContextp()->time();
    return true;
}

extern "C" void clock_stop() { the_clock.next = NEVER; }

int main(int argc, char **argv) {
    VerilatedContext *const context = Verilated::threadContextp();
    context->commandArgs(argc, argv);
    context->fatalOnVpiError(false);  // cocotb asks for things that Verilator does not have, and copes
    context->traceEverOn(true);
    Simulation simulation{context};
    for (int i = 1; i + 1 < argc; ++i) {
        if (!std::strcmp(argv[i], "--trace-file")) simulation.record(argv[i + 1]);
    }
    vlog_startup_routines_bootstrap();
    // $fatal does not come back.
    Verilated::addExitCb([](void *self) { static_cast<Simulation *>(self)->finish(); }, &simulation);
    simulation.run();
    return context->errorCount() > 0;
}
