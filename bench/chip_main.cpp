// Runs a job file on the chip without cocotb: load, start, wait for `running` to fall, read back (tb/bench/bare.py).
//
// Usage: chip JOBS ANSWERS. Both are little-endian 64-bit numbers.
//   JOBS:    count, then per job: max_cycles, writes, reads, (address, low, high) per write, address per read
//   ANSWERS: per job: done, clocks from start to done, nanoseconds they took on the wall and of the processor,
//            (low, high) per read

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "Vtop.h"

namespace {

using Word = std::uint64_t;

Word nanoseconds(clockid_t clock) {
    timespec time;
    clock_gettime(clock, &time);
    return static_cast<Word>(time.tv_sec) * 1000000000u + time.tv_nsec;
}

class Chip {
  public:
    Chip() : top{&context} {
        top.host_write = top.host_read = top.hac_fast = top.hac_slow = 0;
        top.rst = 1;
        top.clk = 0;
        top.eval();
    }

    // Inputs change after a rising edge and are taken at the next one.
    void cycle() {
        top.clk = 0;
        top.eval();
        top.clk = 1;
        top.eval();
    }

    void reset() {
        top.rst = 1;
        for (int i = 0; i < 3; ++i) cycle();
        top.rst = 0;
        cycle();
    }

    void write(Word address, Word low, Word high) {
        top.host_write = 1;
        top.host_address = static_cast<std::uint32_t>(address);
        for (int i = 0; i < 4; ++i) {
            top.host_wdata[i] = static_cast<std::uint32_t>((i < 2 ? low : high) >> 32 * (i % 2));
        }
        cycle();
        top.host_write = 0;
    }

    // One read at a time: the order of the answers is then that of the questions.
    void read(Word address, std::vector<Word> &answers) {
        top.host_read = 1;
        top.host_address = static_cast<std::uint32_t>(address);
        cycle();
        top.host_read = 0;
        for (int waited = 0; !top.host_rvalid; ++waited) {
            if (waited == 1000) std::exit((std::fprintf(stderr, "read %#llx has no answer\n", (long long)address), 1));
            cycle();
        }
        answers.push_back(top.host_rdata[0] | static_cast<Word>(top.host_rdata[1]) << 32);
        answers.push_back(top.host_rdata[2] | static_cast<Word>(top.host_rdata[3]) << 32);
    }

    void run(Word max_cycles, std::vector<Word> &answers) {
        write(0, 1, 0);
        for (int waited = 0; !top.running && waited < 100; ++waited) cycle();
        const Word began = nanoseconds(CLOCK_MONOTONIC), began_cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
        Word clocks = 0;
        for (; top.running && clocks < max_cycles; ++clocks) cycle();
        const Word ended = nanoseconds(CLOCK_MONOTONIC), ended_cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
        answers.insert(answers.end(), {!top.running, clocks, ended - began, ended_cpu - began_cpu});
    }

  private:
    VerilatedContext context;
    Vtop top;
};

std::vector<Word> load(const char *path) {
    std::FILE *file = std::fopen(path, "rb");
    if (!file) std::exit((std::perror(path), 2));
    std::fseek(file, 0, SEEK_END);
    std::vector<Word> words(std::ftell(file) / sizeof(Word));
    std::rewind(file);
    if (std::fread(words.data(), sizeof(Word), words.size(), file) != words.size()) std::exit(2);
    std::fclose(file);
    return words;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 3) return std::fprintf(stderr, "usage: %s JOBS ANSWERS\n", argv[0]), 2;
    const std::vector<Word> jobs = load(argv[1]);
    const Word *next = jobs.data();
    std::vector<Word> answers;
    Chip chip;
    for (Word count = *next++; count; --count) {
        const Word max_cycles = *next++, writes = *next++, reads = *next++;
        chip.reset();
        for (Word i = 0; i < writes; ++i, next += 3) chip.write(next[0], next[1], next[2]);
        chip.run(max_cycles, answers);
        for (Word i = 0; i < reads; ++i) chip.read(*next++, answers);
    }
    std::FILE *file = std::fopen(argv[2], "wb");
    if (!file || std::fwrite(answers.data(), sizeof(Word), answers.size(), file) != answers.size()) return 2;
    return std::fclose(file) ? 2 : 0;
}
