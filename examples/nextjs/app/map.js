"use client";

export default function Map() {
  return <p data-key={process.env.NEXT_PUBLIC_MAPS_KEY}>Where we are</p>;
}
