import Map from "./map";

export default function Page() {
  return (
    <main>
      <h1>Fresh today</h1>
      <Map />
    </main>
  );
}
