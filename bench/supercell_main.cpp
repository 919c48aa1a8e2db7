// Times one supercell: nanoseconds a cycle, busy and idle, and a sum over what came out (tb/bench/supercell.py).
//
// Usage: PROGRAM CYCLES. Every supercell sees the same weights, activations and sums, so their checksums are equal.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "Vtop.h"

namespace {

constexpr int VECTORS = 64;
constexpr int SETS = 2;

std::uint32_t random_word() {
    static std::uint64_t state = 0x9E3779B97F4A7C15u;
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return static_cast<std::uint32_t>(state >> 16);
}

std::uint32_t activations[VECTORS][4], sums[VECTORS][16];

void cycle(Vtop &top) {
    top.clk = 0;
    top.eval();
    top.clk = 1;
    top.eval();
}

double nanoseconds() {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

// Nanoseconds of the processor a cycle. Work that the harness does is done in idle cycles too.
double measure(Vtop &top, bool busy, long cycles, std::uint64_t &checksum) {
    const double began = nanoseconds();
    for (long i = 0; i < cycles; ++i) {
        const auto &activation = activations[i % VECTORS];
        const auto &sum = sums[i % VECTORS];
        for (int word = 0; word < 4; ++word) top.activation[word] = activation[word];
        for (int word = 0; word < 16; ++word) top.psum_in[word] = sum[word];
        top.activate = busy;
        cycle(top);
        checksum = checksum * 31 + top.psum_out[i % 16];
    }
    return (nanoseconds() - began) / cycles;
}

void load(Vtop &top) {
    for (int word = 0; word < 64; ++word) top.load_data[word] = random_word();
    top.load = 1, top.install = 0;
    cycle(top);
    top.load = 0, top.install = 1;
    cycle(top);
    top.install = 0;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 2) return std::fprintf(stderr, "usage: %s CYCLES\n", argv[0]), 2;
    const long cycles = std::atol(argv[1]);
    for (auto &vector : activations)
        for (auto &word : vector) word = random_word();
    for (auto &vector : sums)
        for (auto &word : vector) word = random_word();
    VerilatedContext context;
    Vtop top{&context};
    top.rst = top.load = top.install = top.activate = 0;
    std::uint64_t checksum = 0, ignored = 0;
    double busy = 0, idle = 0;
    for (int set = 0; set < SETS; ++set) {
        load(top);
        measure(top, true, VECTORS, ignored);
        busy += measure(top, true, cycles, checksum) / SETS;
        idle += measure(top, false, cycles, ignored) / SETS;
    }
    std::printf("%.3f %.3f %llu\n", busy, idle, static_cast<unsigned long long>(checksum));
}
